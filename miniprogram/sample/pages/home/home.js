const { ask, letterOf, showError, withLoading } = require('../../utils/ui')

const app = getApp()

Page({
  data: { state: 'loading', user: null, letter: '', byPassword: false, username: '', password: '' },

  async onLoad() {
    this.end = app.kaimen.onSession((session) => this.show(session))
    const outcome = await app.launched
    if (outcome instanceof Error) showError(outcome)
    this.show(app.kaimen.session)
  },

  onUnload() {
    this.end()
  },

  show(session) {
    const user = session && session.user
    this.setData({ state: user ? 'in' : 'out', user, letter: letterOf(user) })
  },

  async onPullDownRefresh() {
    if (app.kaimen.session) await app.kaimen.fetchUser().catch(showError)
    wx.stopPullDownRefresh()
  },

  logIn() {
    return withLoading('登录中', () => app.kaimen.login())
  },

  togglePassword() {
    this.setData({ byPassword: !this.data.byPassword })
  },

  onInput({ currentTarget, detail }) {
    this.setData({ [currentTarget.dataset.field]: detail.value })
  },

  async logInByPassword() {
    const { username, password } = this.data
    if (!username || !password) return wx.showToast({ icon: 'none', title: '请输入用户名和密码' })
    const session = await withLoading('登录中', () => app.kaimen.login({ username, password }))
    return session && this.setData({ byPassword: false, password: '' })
  },

  async bindPhone(event) {
    const phone = await withLoading('绑定中', () => app.kaimen.bindPhone(event))
    if (phone) wx.showToast({ title: '已绑定' })
  },

  /** A web page's QR: the mini-program code brings its path along, our own QR its URL. */
  scan() {
    wx.scanCode({
      success: ({ path, result }) => {
        const [, scene] = /scene=([^&]+)/.exec(path || '') || []
        wx.navigateTo({ url: `/pages/confirm/confirm?${scene ? `scene=${scene}` : `q=${encodeURIComponent(result)}`}` })
      },
      fail: (failure) => /cancel/.test(failure.errMsg) || showError({ message: '没有识别到二维码' }),
    })
  },

  async logOut() {
    if (!(await ask('退出登录', '退出后需要重新登录才能使用。', '退出'))) return
    await withLoading('退出中', () => app.kaimen.logout())
  },
})
