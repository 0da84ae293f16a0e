// Made from miniprogram/src by miniprogram/build.mjs; change it there. MIT licence.
'use strict'

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

function speak(language) {
  isEnglish = language === 'en'
}

function makeError(message, fields) {
  return Object.assign(new Error(message), { name: 'KaimenError', data: null, ...fields })
}

/** An error of the phone; `cause` is for developers. */
function localError(error, cause, fields) {
  const [code, chinese = `kaimen: ${cause}`] = LOCAL[error]
  return makeError(isEnglish ? `${error}: ${cause}` : chinese, { code, error, cause, ...fields })
}

/** What a failing function of wx says. */
const textOf = (failure) => String((failure && (failure.errMsg || failure.message)) || failure)

/** What `fail` of a wx function got, as an error. */
function wxError(failure) {
  const text = textOf(failure)
  const [, error] = FAILURES.find(([pattern]) => pattern.test(text))
  return localError(error, text, failure && { errno: failure.errno })
}

/** A refusal of the server; `retryAfter` in seconds where it says when to try again. */
function serverError({ code, error, message, data, requestId }, { statusCode, header = {} }) {
  const name = Object.keys(header).find((one) => one.toLowerCase() === 'retry-after')
  const retryAfter = name && Number(header[name])
  return makeError(message || error, { code, error, data, requestId, statusCode, retryAfter })
}

/** Stops at once on a mistake of whoever calls us; `what` is the argument, such as request.path. */
function must(holds, what) {
  if (!holds) throw localError('invalid_argument', `wrong ${what}`)
}

const isObject = (value) => !!value && typeof value === 'object'

/** An object with no other names than these. */
function mustHaveOnly(what, given, names) {
  must(isObject(given), what)
  Object.keys(given).forEach((name) => must(names.includes(name), `${what}.${name}`))
}

/* global wx */

const NEEDED = ['login', 'request', 'getStorageSync', 'setStorageSync', 'removeStorageSync']
const ORIGIN = /^https?:\/\/[\w.-]+(:\d+)?$/
const isFunction = (value) => typeof value === 'function'
const isText = (value) => !!value && typeof value === 'string'

/** Each option: what it must be, and its default. */
const OPTIONS = {
  baseUrl: [(value) => isText(value) || isObject(value)],
  platform: [isObject],
  appid: [(value) => !value || /^wx\w{16}$/.test(value), ''],
  storageKey: [isText, 'kaimen'],
  timeout: [isTimeout, 15000],
  maxRequests: [(value) => value >= 1 && value <= 10, 10],
  origins: [(value) => Array.isArray(value) && value.every((one) => ORIGIN.test(one)), []],
  isExpired: [isFunction, (reply) => reply.statusCode === 401],
  onWarning: [isFunction, (error) => console.warn(error)],
  language: [(value) => /^(zh|en)$/.test(value), 'zh'],
}

function isTimeout(value) {
  return value > 0 && value <= 60000
}

/** The options with their defaults; throws invalid_argument for the first that is wrong. */
function readOptions(given) {
  mustHaveOnly('createKaimen', given, Object.keys(OPTIONS))
  const options = { platform: typeof wx === 'undefined' ? undefined : wx, ...given }
  for (const name of Object.keys(OPTIONS)) {
    const [isRight, standard] = OPTIONS[name]
    const value = options[name] === undefined ? standard : options[name]
    must(isRight(value), `createKaimen.${name}: ${value}`)
    options[name] = value
  }
  NEEDED.forEach((name) => must(isFunction(options.platform[name]), `platform.${name}`))
  speak(options.language)
  return { ...options, baseUrl: chooseBaseUrl(options) }
}

/** A release is never sent over plain http. */
function chooseBaseUrl({ baseUrl, platform }) {
  const version = envVersionOf(platform)
  const url = String(isText(baseUrl) ? baseUrl : baseUrl[version]).replace(/\/$/, '')
  const [, origin] = /^(https?:\/\/[^/]+)(\/[\w.~-]+)*$/.exec(url) || []
  must(ORIGIN.test(origin), `baseUrl.${version}: ${url}`)
  must(version !== 'release' || /^https/.test(url), 'baseUrl.release: needs https')
  return url
}

/** develop, trial or release; a platform that does not tell is taken for a release. */
function envVersionOf(platform) {
  try {
    return platform.getAccountInfoSync().miniProgram.envVersion || 'release'
  } catch (error) {
    return 'release'
  }
}

const ignore = () => {}

/** A promise of a function that takes success and fail. */
function promised(owner, name, options) {
  return new Promise((resolve, reject) => {
    if (!owner[name]) throw localError('wx_failed', `no ${name} here`)
    quiet(owner[name]({ ...options, success: resolve, fail: (failure) => reject(wxError(failure)) }))
  })
}

/** For promises whose failure is told elsewhere, such as those that Taro gives beside the callbacks. */
function quiet(result) {
  if (result && result.catch) result.catch(ignore)
}

/** Lets at most `room` requests through at a time: WeChat refuses the eleventh. */
function createQueue(room) {
  const waiting = []
  const next = () => {
    if (room && waiting.length) {
      room -= 1
      waiting.shift()()
    }
  }
  const leave = () => {
    room += 1
    next()
  }
  /** Runs `work` when there is room; `urgent` (tokens that others wait for) goes first. */
  return (work, urgent) =>
    new Promise((resolve) => {
      waiting[urgent ? 'unshift' : 'push'](resolve)
      next()
    })
      .then(work)
      .finally(leave)
}

/** One wx.request: the reply, or network_error, timeout, aborted. `task` is what abort() reaches it through. */
function send(platform, request, task) {
  return new Promise((resolve, reject) => {
    if (task.aborted) throw localError('aborted')
    let native = null
    const stop = (error) => {
      reject(localError(error))
      if (native && native.abort) native.abort()
    }
    // Not every platform and library keeps to `timeout`.
    const timer = setTimeout(stop, request.timeout, 'timeout')
    const end = () => clearTimeout(timer)
    task.stop = () => {
      end()
      stop('aborted')
    }
    const success = (reply) => {
      end()
      resolve(reply)
    }
    const fail = (failure) => {
      end()
      reject(wxError(failure))
    }
    native = platform.request({ ...request, success, fail })
    quiet(native)
  })
}

/** A promise with abort(), which rejects it at once, wherever `work(task)` is by then. */
function abortable(work) {
  const task = { aborted: false, stop: ignore }
  let refuse
  /** @type {any} */
  const promise = new Promise((resolve, reject) => {
    refuse = reject
    work(task).then(resolve, reject)
  })
  promise.abort = () => {
    task.aborted = true
    refuse(localError('aborted'))
    task.stop()
  }
  return promise
}

const NAME = 'onNeedPrivacyAuthorization'

/**
 * WeChat holds back a call that needs the privacy consent and asks the mini-program to get it. `ask({ referrer })`
 * shows the dialog and gives `{ agreed, buttonId }`; all calls that wait meanwhile get the one answer.
 */
function createPrivacy(platform, post) {
  return (ask, policy) => {
    must(typeof ask === 'function', NAME)
    must(!policy || (policy.policy && policy.version), NAME)
    if (!platform[NAME]) return // older WeChat asks by itself
    let waiting = []

    /** @param {any} given */
    function answer({ agreed, buttonId }) {
      const event = agreed ? 'agree' : 'disagree'
      waiting.forEach((resolve) => resolve({ event, buttonId }))
      waiting = []
      if (policy) quiet(post('/api/user/consent', { ...policy, accepted: !!agreed }))
    }

    platform[NAME]((resolve, info) => {
      if (waiting.push(resolve) > 1) return
      resolve({ event: 'exposureAuthorization' })
      Promise.resolve(info)
        .then(ask)
        .then(answer)
        .catch(() => answer({}))
    })
  }
}

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS']
const REQUEST = ['path', 'url', 'method', 'data', 'header', 'timeout', 'auth', 'dataType', 'responseType']
const SESSION_IS_OVER = [4012, 4014, 4015]
const NEEDS_A_TOKEN = [4010, 4011]

/** Requests to Kaimen by `path`, to other servers by `url`; with the token, and once again with a new one. */
function createRequests({ platform, baseUrl, origins, isExpired, language, timeout, maxRequests }) {
  const queue = createQueue(maxRequests)

  /** @param {any} given */
  function exchange({ path, url, auth, ...rest }, token, task, urgent) {
    const header = { ...(path && { 'Accept-Language': language }), ...rest.header }
    if (token) header.Authorization = `Bearer ${token}`
    return queue(() => send(platform, { timeout, ...rest, header, url: path ? baseUrl + path : url }, task), urgent)
  }

  /** A token in the place of the one that was refused; null when the reply says nothing of the kind. */
  function recover(session, { path }, reply, token) {
    const code = path && reply.data && reply.data.code
    if (SESSION_IS_OVER.includes(code)) return session.refresh(token, serverError(reply.data, reply))
    return (path ? NEEDS_A_TOKEN.includes(code) : isExpired(reply)) ? session.refresh(token) : null
  }

  async function withToken(session, given, task) {
    const token = await session.getAccessToken()
    const reply = await exchange(given, token, task)
    const fresh = await recover(session, given, reply, token)
    return fresh ? exchange(given, fresh, task) : reply
  }

  return {
    /** POST /api/auth: without a token, and before everything that waits for one. */
    async auth(data, within = timeout) {
      const given = { path: '/api/auth', method: 'POST', data, timeout: Math.min(within, timeout) }
      return unwrap(await exchange(given, null, {}, true))
    },

    request: (session, given) =>
      abortable(async (task) => {
        checkRequest(given, origins)
        const reply = await (given.auth === false ? exchange(given, null, task) : withToken(session, given, task))
        return given.path ? unwrap(reply) : reply
      }),
  }
}

function checkRequest(given, origins) {
  mustHaveOnly('request', given, REQUEST)
  const { path, url, method = 'GET', auth, timeout = 1 } = given
  must(!path !== !url, 'request: path or url')
  must(!path || /^\/[^/\s]/.test(path), 'request.path')
  must(METHODS.includes(method), `request.method: ${method}; for PATCH use PUT`)
  must(isTimeout(timeout), 'request.timeout')
  // Whoever is sent the token can act as the user.
  const origin = url && String(url).split('/', 3).join('/')
  must(path || auth === false || origins.includes(origin), `request.url: ${origin} is not among origins`)
}

/** The data of Kaimen's envelope; an error for its refusals and for everything that is no envelope. */
function unwrap(reply) {
  const { data, statusCode } = reply
  if (!data || !data.code) throw localError('bad_reply', `HTTP ${statusCode}`, { statusCode })
  if (statusCode >= 300 || data.code >= 300) throw serverError(data, reply)
  return data.data
}

/** The id in what a page is opened with: scene of a mini-program code, q of a QR with a URL, or the text itself. */
function scanIdOf(given) {
  const text = String(isObject(given) ? given.scene || given.q : given)
  const [, id] = /(?:^|\/s\/|=)([\w-]{16,32})$/.exec(text.replace(/%2F/gi, '/').replace(/%3D/gi, '=')) || []
  must(id, 'confirmScan')
  return id
}

/** Tells the web page that it was scanned; what to show before confirm() or cancel(). */
async function confirmScan(post, scene) {
  const id = scanIdOf(scene)
  const act = (verb, data = {}) => post(`/api/scan/${id}/${verb}`, data)
  return {
    id,
    ...(await act('scan')),
    confirm: (matchCode) => act('confirm', matchCode && { matchCode: String(matchCode) }),
    cancel: () => act('cancel'),
  }
}

const AHEAD_MS = 30000 // an access token that ends this soon is not sent any more
const REFRESH_MS = 8000 // the server gives a repeated refresh the same tokens for 10 s
const CODE_IS_SPENT = [4004, 4005]
const TRY_AGAIN = ['network_error', 'timeout']
const CREDENTIALS = ['username', 'password', 'wechat', 'phoneCode', 'encryptedData', 'iv', 'rawData', 'signature']

/** Tokens: had once, renewed by one call however many wait for it. `call(body, timeout)` is POST /api/auth. */
function createSession({ platform, appid, timeout }, store, call) {
  const listeners = []
  let state = store.load()
  let flight = null // { kind: 'login' | 'refresh', promise }
  let era = 0 // raised by a logout: what was under way then is nobody's

  const isIn = () => !!(state && state.accessToken)

  function view() {
    if (!isIn()) return null
    const { user, sessionId, isNewUser, warnings } = state
    return { user, sessionId, isNewUser: !!isNewUser, warnings: warnings || [] }
  }

  function put(next, reason) {
    const before = JSON.stringify(view())
    state = next
    store.save(next)
    if (JSON.stringify(view()) !== before) listeners.slice().forEach((listener) => listener(view(), reason))
  }

  function check(mine) {
    if (mine !== era) throw localError('logged_out')
  }

  /** Times are computed from durations, so a wrong clock does no harm; one that went back makes the token stale. */
  function keep(data, by, reason, mine) {
    check(mine)
    const now = Date.now()
    put({ ...data, by, savedAt: now, expiresAt: now + data.expiresIn * 1000 }, reason)
    return view()
  }

  function isFresh() {
    const now = Date.now()
    return isIn() && now >= state.savedAt && now < state.expiresAt - AHEAD_MS
  }

  /** Joins what is under way, or starts it. */
  function once(kind, work) {
    if (!flight) {
      const promise = work().finally(() => {
        flight = null
      })
      flight = { kind, promise }
    }
    return flight.promise
  }

  /** For what nothing else can stand for: after it. */
  async function alone(work) {
    while (flight) await flight.promise.catch(() => {})
    return once('login', work)
  }

  async function newCode() {
    const { code } = await promised(platform, 'login', { provider: 'weixin', timeout })
    if (!code) throw localError('wx_failed', 'no code')
    return code
  }

  async function byWeChat(action, fields) {
    const mine = era
    const exchange = async () => call({ action, ...(appid && { appid }), ...fields, code: await newCode() })
    const data = await exchange().catch((error) => {
      if (CODE_IS_SPENT.includes(error.code)) return exchange()
      throw error
    })
    return keep(data, 'wechat', action, mine)
  }

  async function byPassword(action, fields) {
    const mine = era
    return keep(await call({ action, ...fields }), 'password', action, mine)
  }

  const byWeChatOnly = () => byWeChat('login')

  /** The session is over: WeChat lets its user in again; nobody can type a password for somebody. */
  async function afterTheEnd(error) {
    if (state && state.by === 'password') {
      put(null, 'ended')
      throw error
    }
    return byWeChat('login').catch((failure) => {
      if (failure.statusCode < 429) put(null, 'ended')
      throw failure
    })
  }

  async function rotate() {
    const mine = era
    const { refreshToken, by } = state
    const ask = () => call({ action: 'autoLogin', refreshToken }, REFRESH_MS)
    const data = await ask()
      .catch((error) => {
        if (TRY_AGAIN.includes(error.error)) return ask()
        throw error
      })
      .catch((error) => {
        check(mine)
        if (!SESSION_IS_OVER.includes(error.code)) throw error
        return afterTheEnd(error).then(() => null)
      })
    return data ? keep(data, by, 'refresh', mine) : view()
  }

  function notOut() {
    if (state && state.loggedOut) throw localError('logged_out')
  }

  /** A good token: the one that `stale` made way for, or a new one. `over` is the refusal that ended the session. */
  async function refresh(stale, over) {
    notOut()
    if (!isIn()) await once('login', byWeChatOnly)
    else if (!stale || state.accessToken === stale) await once('refresh', over ? () => afterTheEnd(over) : rotate)
    return state.accessToken
  }

  async function signIn(action, given) {
    const { wechat, ...fields } = checkCredentials(action, given)
    if (fields.username && !wechat) return alone(() => byPassword(action, fields))
    if (Object.keys(fields).length || action === 'register') return alone(() => byWeChat(action, fields))
    return flight && flight.kind === 'login' ? flight.promise : alone(byWeChatOnly)
  }

  return {
    view,
    refresh,
    login: (fields) => signIn('login', fields),
    register: (fields) => signIn('register', fields),
    async autoLogin() {
      if (state && state.loggedOut) return null
      if (!isFresh()) await refresh(isIn() && state.accessToken)
      return view()
    },
    async getAccessToken() {
      notOut()
      return isFresh() ? state.accessToken : refresh(isIn() && state.accessToken)
    },
    current: () => (isIn() ? state.accessToken : null),
    /** The session ended elsewhere. */
    drop: (reason) => put(null, reason),
    /** Forgets the tokens, and that nobody wants to be logged in again by itself. */
    forget() {
      era += 1
      put({ loggedOut: true }, 'logout')
    },
    /** The user as a reply shows it. */
    update(changes) {
      if (!isIn()) return null
      put({ ...state, user: { ...state.user, ...changes } }, 'updated')
      return state.user
    },
    /** Calls back at once if there is a session, then at each change; returns what ends that. */
    onSession(listener) {
      must(typeof listener === 'function', 'onSession')
      listeners.push(listener)
      if (isIn()) listener(view(), 'stored')
      return () => {
        const at = listeners.indexOf(listener)
        if (at >= 0) listeners.splice(at, 1)
      }
    },
  }
}

/** @param {any} given */
function checkCredentials(action, given = {}) {
  mustHaveOnly(action, given, CREDENTIALS)
  const { username, password, wechat, phoneCode, encryptedData, iv } = given
  must(!username === !password, `${action}.password`)
  must(action === 'register' || !username || !wechat, 'login.wechat')
  must(!phoneCode || !username || wechat, `${action}.phoneCode`)
  must(!encryptedData === !iv, `${action}.iv`)
  return given
}

/**
 * The session in the phone's storage. The key has the server in it: the develop, trial and release versions of a
 * mini-program share one storage, and a token of one server is nothing to another.
 */
function createStore({ platform, storageKey, baseUrl, onWarning }) {
  const key = `${storageKey}@${baseUrl}`
  const attempt = (name, value) => {
    try {
      return platform[name](key, value) || true
    } catch (error) {
      onWarning(localError('storage_failed', textOf(error)))
      return false
    }
  }
  return {
    load() {
      const kept = attempt('getStorageSync')
      return kept.loggedOut || (kept.accessToken && kept.refreshToken) ? kept : null
    },
    /** What cannot be stored lasts until the app ends. The older one must not stay: its refresh token is used up. */
    save(state) {
      if (!state || !attempt('setStorageSync', state)) attempt('removeStorageSync')
    },
  }
}

const AVATAR_MAX = 512 * 1024
/** @type {[string, RegExp][]} */
const IMAGES = [
  ['image/png', /^\x89PNG/],
  ['image/jpeg', /^\xff\xd8\xff/],
  ['image/webp', /^RIFF[^]{4}WEBP/],
]

/** What the signed-in user does with their own data. */
function createUserCalls({ platform, appid }, session, request, post) {
  const named = (fields) => ({ ...fields, ...(appid && { appid }) })
  const isStale = (error) => error.code === 4003 && error.data && error.data.reason === 'stale_session_key'

  async function bindPhone(event) {
    const detail = isObject(event) && (event.detail || event)
    must(detail, 'bindPhone')
    const { code, encryptedData, iv } = detail
    if (!code && !encryptedData) throw wxError(detail.errMsg ? detail : 'user deny')
    try {
      const { phone } = await post('/api/user/phone', named(code ? { code } : { encryptedData, iv }))
      session.update({ phone })
      return phone
    } catch (error) {
      if (isStale(error)) await session.login() // only the user can fetch the number again: now it will work
      throw error
    }
  }

  /** checkSession → login → fetch → send; once more when the server's session_key was another. */
  async function decrypt(fetch) {
    must(typeof fetch === 'function', 'decrypt')
    const attempt = async () => {
      const { encryptedData, iv, rawData, signature } = (await fetch()) || {}
      must(encryptedData && iv, 'decrypt.encryptedData')
      return post('/api/user/decrypt', named({ encryptedData, iv, ...(rawData && { rawData, signature }) }))
    }
    const check = promised(platform, 'checkSession').then(session.current)
    if (!(await check.catch(() => null))) await session.login()
    try {
      return await attempt()
    } catch (error) {
      if (!isStale(error)) throw error
      await session.login()
      return attempt()
    }
  }

  const readFile = async (filePath) => (await promised(platform.getFileSystemManager(), 'readFile', { filePath })).data

  async function readImage(src) {
    const bytes = await readFile(src)
    if (bytes.byteLength <= AVATAR_MAX || !platform.compressImage) return bytes
    const smaller = await promised(platform, 'compressImage', { src, quality: 60, compressedWidth: 640 })
    return readFile(smaller.tempFilePath)
  }

  /** wx.request sends an ArrayBuffer as it is, so no multipart is needed. */
  async function uploadAvatar(filePath) {
    const bytes = await readImage(filePath)
    const head = String.fromCharCode(...new Uint8Array(bytes.slice(0, 12)))
    const [type] = IMAGES.find(([, pattern]) => pattern.test(head)) || []
    must(type, 'updateProfile.avatar: PNG, JPEG or WebP')
    return session.update(await post('/api/user/avatar', bytes, { header: { 'content-type': type } }))
  }

  async function updateProfile(changes) {
    mustHaveOnly('updateProfile', changes, ['avatar', 'nickname', 'email'])
    const { avatar, ...data } = changes
    const others = Object.keys(data).length
    must(others || avatar, 'updateProfile')
    must(!avatar || typeof avatar === 'string', 'updateProfile.avatar')
    if (others) session.update(await request({ path: '/api/user/info', method: 'PUT', data }))
    return avatar ? uploadAvatar(avatar) : session.view().user
  }

  return {
    bindPhone,
    decrypt,
    updateProfile,
    fetchUser: async () => session.update(await request({ path: '/api/user/info' })),
  }
}

const NOT_SIGNED_IN = 4401
const PAUSE_MS = [1000, 2000, 5000, 15000, 60000]

/**
 * The session's socket: hears at once when the session ends elsewhere or the user changes. It sleeps while the app is
 * in the background, where WeChat cuts sockets anyway.
 */
function createWatch({ platform, baseUrl }, session, fetchUser) {
  const url = `${baseUrl.replace(/^http/, 'ws')}/api/session/ws`
  let wanted = false
  let socket = null
  let failures = 0
  let timer = null
  let visible = true

  const on = {
    READY: () => {
      failures = 0
    },
    LOGGED_OUT: () => {
      close()
      session.drop('ended')
    },
    USER_UPDATED: () => fetchUser().catch(() => {}),
  }

  function hear(data) {
    let message = {}
    try {
      message = JSON.parse(data)
    } catch (error) {
      return // not of ours
    }
    if (on[message.type]) on[message.type](message)
  }

  function close() {
    clearTimeout(timer)
    const open = socket
    socket = null
    if (open) open.close({})
  }

  function later() {
    socket = null
    clearTimeout(timer)
    timer = setTimeout(open, PAUSE_MS[Math.min(failures, PAUSE_MS.length - 1)] * (0.75 + Math.random() / 2))
    failures += 1
  }

  async function open() {
    if (!wanted || !visible || socket || !session.current()) return
    socket = {} // taken; nobody else begins
    try {
      const token = await session.getAccessToken()
      join(await platform.connectSocket({ url, success() {}, fail() {} }), token)
    } catch (error) {
      later()
    }
  }

  function join(task, token) {
    if (!wanted || !visible) return task.close({})
    socket = task
    const mine = (work) => (event) => socket === task && work(event)
    task.onOpen(mine(() => task.send({ data: JSON.stringify({ type: 'AUTH', token }) })))
    task.onMessage(mine(({ data }) => hear(data)))
    task.onError(mine(() => later()))
    task.onClose(
      mine(({ code }) => {
        if (code === NOT_SIGNED_IN) session.refresh(token).catch(() => {})
        later()
      }),
    )
  }

  function show(isVisible) {
    visible = isVisible
    if (visible) open()
    else close()
  }

  if (platform.onAppShow) platform.onAppShow(() => show(true))
  if (platform.onAppHide) platform.onAppHide(() => show(false))
  session.onSession((view) => (view ? open() : close()))

  return () => {
    wanted = true
    open()
    return () => {
      wanted = false
      close()
    }
  }
}

/** The login of a mini-program: make one, in app.js, and use it everywhere. */
function createKaimen(given) {
  const options = readOptions(given)
  const requests = createRequests(options)
  const session = createSession(options, createStore(options), requests.auth)
  const request = (call) => requests.request(session, call)
  const post = (path, data, more) => request({ path, method: 'POST', data, ...more })
  const user = createUserCalls(options, session, request, post)

  /** The phone forgets the session even if the server cannot be reached. */
  async function logout({ all = false } = {}) {
    const token = session.current() && (await session.getAccessToken().catch(session.current))
    session.forget()
    if (!token) return
    try {
      await post('/api/auth/logout', { all }, { header: { Authorization: `Bearer ${token}` }, auth: false })
    } catch (error) {
      if (error.statusCode !== 401) throw error // no session any more: that is what was wanted
    }
  }

  const { login, register, autoLogin, getAccessToken, refresh, onSession } = session
  return {
    get session() {
      return session.view()
    },
    baseUrl: options.baseUrl,
    login,
    register,
    autoLogin,
    logout,
    request,
    getAccessToken,
    refresh,
    onSession,
    ...user,
    confirmScan: (scene) => confirmScan(post, scene),
    watch: createWatch(options, session, user.fetchUser),
    onNeedPrivacyAuthorization: createPrivacy(options.platform, post),
  }
}

module.exports = { createKaimen, scanIdOf }
