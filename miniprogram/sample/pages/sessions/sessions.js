const { ask, showError, timeAgo, withLoading } = require('../../utils/ui')

const app = getApp()
const PATH = '/api/sessions'

Page({
  data: { state: 'loading', sessions: [], others: 0 },

  onLoad() {
    return this.load()
  },

  async onPullDownRefresh() {
    await this.load()
    wx.stopPullDownRefresh()
  },

  async load() {
    try {
      const { sessions } = await app.kaimen.request({ path: PATH })
      const shown = sessions.map((one) => ({ ...one, seen: timeAgo(one.lastSeenAt) }))
      this.setData({ state: 'shown', sessions: shown, others: shown.filter((one) => !one.current).length })
    } catch (error) {
      this.setData({ state: this.data.sessions.length ? 'shown' : 'failed' })
      showError(error)
    }
  },

  async end({ currentTarget }) {
    const { id, device } = currentTarget.dataset
    if (!(await ask('下线设备', `“${device}”将退出登录。`, '下线'))) return
    await withLoading('处理中', () => app.kaimen.request({ path: `${PATH}/${id}`, method: 'DELETE' }))
    await this.load()
  },

  async endOthers() {
    if (!(await ask('下线其他设备', '除本机外，所有设备都将退出登录。', '全部下线'))) return
    const others = this.data.sessions.filter((one) => !one.current)
    const end = ({ id }) => app.kaimen.request({ path: `${PATH}/${id}`, method: 'DELETE' })
    await withLoading('处理中', () => Promise.all(others.map(end)))
    await this.load()
  },
})
