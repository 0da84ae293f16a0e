/** Tells what went wrong; what the user or the app cancelled needs no words. */
function showError(error) {
  if (error.error === 'user_denied' || error.error === 'aborted') return
  const more = error.retryAfter ? `（${error.retryAfter} 秒后可重试）` : ''
  wx.showToast({ icon: 'none', duration: 2500, title: `${error.message}${more}` })
}

/** Runs `work` with a wait sign in front of the page; gives undefined after a failure, which is told. */
async function withLoading(title, work) {
  wx.showLoading({ title, mask: true })
  try {
    return await work()
  } catch (error) {
    wx.hideLoading()
    showError(error)
    return undefined
  } finally {
    wx.hideLoading()
  }
}

/** Whether the user agrees. */
function ask(title, content, confirmText) {
  return new Promise((resolve) => {
    wx.showModal({ title, content, confirmText, success: ({ confirm }) => resolve(confirm), fail: () => resolve(false) })
  })
}

/** "刚刚", "5 分钟前", "3 小时前", "2 天前", or the day. */
function timeAgo(text, now = Date.now()) {
  const at = new Date(text).getTime()
  const minutes = Math.floor((now - at) / 60000)
  if (minutes < 1) return '刚刚'
  if (minutes < 60) return `${minutes} 分钟前`
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} 小时前`
  if (minutes < 30 * 24 * 60) return `${Math.floor(minutes / 1440)} 天前`
  return text.slice(0, 10)
}

const letterOf = (user) => Array.from((user && (user.nickname || user.username)) || '客')[0]

module.exports = { showError, withLoading, ask, timeAgo, letterOf }
