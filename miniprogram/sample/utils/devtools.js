/**
 * Without an appid of one's own, WeChat's developer tools give the same text as the code of every wx.login. The
 * simulator takes any code it has not seen, once, for alice's: so each login there gets one. On a phone nothing changes.
 */
const MOCK = 'the code is a mock one'

function withDevtoolsCodes(platform) {
  const replaced = (success) => (result) =>
    success(result.code === MOCK ? { ...result, code: `devtools-${Date.now()}-${Math.random().toString(36).slice(2)}` } : result)
  const login = (options) => platform.login({ ...options, success: replaced(options.success) })
  return { ...platform, login }
}

module.exports = { withDevtoolsCodes }
