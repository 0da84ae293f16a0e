const { showError, timeAgo, withLoading } = require('../../utils/ui')

const app = getApp()
const OVER = {
  4040: '二维码已失效，请在网页上刷新后重新扫描。',
  4093: '二维码已失效，请在网页上刷新后重新扫描。',
  4100: '二维码已过期，请在网页上刷新后重新扫描。',
  4101: '这个二维码已经用过了。',
  4102: '登录已取消。',
  4030: '请用扫码的微信号确认。',
}

/** The number on the web page among two others: whoever has not looked at the page can only guess. */
function numbersAround(right) {
  const numbers = [right]
  while (numbers.length < 3) {
    const other = String(Math.floor(Math.random() * 100)).padStart(2, '0')
    if (!numbers.includes(other)) numbers.push(other)
  }
  return numbers.sort()
}

Page({
  data: { state: 'loading', scan: null, numbers: [], chosen: '', where: '', age: '', words: '' },

  /** Opened by a mini-program code (scene), by a link of our QR (q), or from the home page. */
  async onLoad(query) {
    this.query = query
    try {
      this.scan = await app.kaimen.confirmScan(query)
      this.show(this.scan)
    } catch (error) {
      this.fail(error)
    }
  },

  show({ site, browser, matchCode, requestedAt }) {
    const where = [browser.region, browser.address].filter(Boolean).join(' · ')
    const name = [browser.name, browser.os].filter(Boolean).join(' · ')
    const numbers = numbersAround(matchCode)
    this.setData({ state: 'asked', scan: { site, name }, numbers, chosen: '', where, age: timeAgo(requestedAt) })
  },

  choose({ currentTarget }) {
    this.setData({ chosen: currentTarget.dataset.number })
  },

  fail(error) {
    const words = error.code === 1005 ? '这不是登录用的二维码。' : OVER[error.code]
    if (words) this.setData({ state: 'over', words })
    else if (error.code === 4036) this.tryAgain(error.data.attemptsLeft)
    else {
      this.setData({ state: this.scan ? 'asked' : 'failed' })
      showError(error)
    }
  },

  /** The third wrong number cancels. */
  tryAgain(attemptsLeft) {
    if (!attemptsLeft) return this.setData({ state: 'over', words: '数字不一致，登录已取消。' })
    this.setData({ chosen: '' })
    return wx.showToast({ icon: 'none', title: `数字不一致，还可以试 ${attemptsLeft} 次` })
  },

  retry() {
    this.setData({ state: 'loading' })
    return this.onLoad(this.query)
  },

  confirm() {
    return this.act('登录中', () => this.scan.confirm(this.data.chosen), 'done')
  },

  cancel() {
    return this.act('取消中', () => this.scan.cancel(), 'cancelled')
  },

  async act(title, work, state) {
    await withLoading(title, async () => {
      try {
        await work()
        this.setData({ state })
      } catch (error) {
        this.fail(error)
      }
    })
  },

  leave() {
    if (getCurrentPages().length > 1) wx.navigateBack()
    else wx.reLaunch({ url: '/pages/home/home' })
  },
})
