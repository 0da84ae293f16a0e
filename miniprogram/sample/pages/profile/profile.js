const { letterOf, withLoading } = require('../../utils/ui')

const app = getApp()

Page({
  data: { user: null, letter: '', nickname: '', email: '', changed: false },

  onLoad() {
    this.end = app.kaimen.onSession((session) => session && this.show(session.user))
  },

  onUnload() {
    this.end()
  },

  show(user) {
    this.setData({ user, letter: letterOf(user), nickname: user.nickname, email: user.email || '', changed: false })
  },

  /** The file that WeChat gives is temporary: it is uploaded at once. */
  async chooseAvatar({ detail }) {
    const user = await withLoading('上传中', () => app.kaimen.updateProfile({ avatar: detail.avatarUrl }))
    if (user) wx.showToast({ title: '头像已更新' })
  },

  onInput({ currentTarget, detail }) {
    const { nickname, email, user } = { ...this.data, [currentTarget.dataset.field]: detail.value }
    this.setData({ nickname, email, changed: nickname !== user.nickname || email !== (user.email || '') })
  },

  /** WeChat checks the nickname when the field is left; the form brings what stayed. */
  async save({ detail }) {
    const { user } = this.data
    const nickname = (detail.value.nickname || '').trim()
    const email = (detail.value.email || '').trim()
    const changes = {}
    if (nickname !== user.nickname) changes.nickname = nickname
    if (email !== (user.email || '')) changes.email = email || null
    if (!Object.keys(changes).length) return
    const saved = await withLoading('保存中', () => app.kaimen.updateProfile(changes))
    if (saved) wx.showToast({ title: '已保存' })
  },
})
