/* What the server refuses keeps the server's code; what goes wrong on the phone has a code below 2000. */

const LOCAL = {
  network_error: [1001, '网络连接失败'],
  timeout: [1002, '服务器响应超时'],
  aborted: [1003, '请求已取消'],
  bad_reply: [1004, '服务器返回异常'],
  invalid_argument: [1005],
  user_denied: [1006, '你已拒绝授权'],
  wx_failed: [1007, '微信接口调用失败'],
  logged_out: [1008, '请先登录'],
  storage_failed: [1009],
}
/** @type {[RegExp, string][]} */
const FAILURES = [
  [/time ?out/i, 'timeout'],
  [/abort/i, 'aborted'],
  [/^(request|connectSocket):/, 'network_error'],
  [/deny|denied|cancel|permission/i, 'user_denied'],
  [/(?:)/, 'wx_failed'],
]

let isEnglish = false

export function speak(language) {
  isEnglish = language === 'en'
}

function makeError(message, fields) {
  return Object.assign(new Error(message), { name: 'KaimenError', data: null, ...fields })
}

/** An error of the phone; `cause` is for developers. */
export function localError(error, cause, fields) {
  const [code, chinese = `kaimen: ${cause}`] = LOCAL[error]
  return makeError(isEnglish ? `${error}: ${cause}` : chinese, { code, error, cause, ...fields })
}

/** What a failing function of wx says. */
export const textOf = (failure) => String((failure && (failure.errMsg || failure.message)) || failure)

/** What `fail` of a wx function got, as an error. */
export function wxError(failure) {
  const text = textOf(failure)
  const [, error] = FAILURES.find(([pattern]) => pattern.test(text))
  return localError(error, text, failure && { errno: failure.errno })
}

/** A refusal of the server; `retryAfter` in seconds where it says when to try again. */
export function serverError({ code, error, message, data, requestId }, { statusCode, header = {} }) {
  const name = Object.keys(header).find((one) => one.toLowerCase() === 'retry-after')
  const retryAfter = name && Number(header[name])
  return makeError(message || error, { code, error, data, requestId, statusCode, retryAfter })
}

/** Stops at once on a mistake of whoever calls us; `what` is the argument, such as request.path. */
export function must(holds, what) {
  if (!holds) throw localError('invalid_argument', `wrong ${what}`)
}

export const isObject = (value) => !!value && typeof value === 'object'

/** An object with no other names than these. */
export function mustHaveOnly(what, given, names) {
  must(isObject(given), what)
  Object.keys(given).forEach((name) => must(names.includes(name), `${what}.${name}`))
}
