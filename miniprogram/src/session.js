import { localError, must, mustHaveOnly } from './errors.js'
import { SESSION_IS_OVER } from './request.js'
import { promised } from './transport.js'

const AHEAD_MS = 30000 // an access token that ends this soon is not sent any more
const REFRESH_MS = 8000 // the server gives a repeated refresh the same tokens for 10 s
const CODE_IS_SPENT = [4004, 4005]
const TRY_AGAIN = ['network_error', 'timeout']
const CREDENTIALS = ['username', 'password', 'wechat', 'phoneCode', 'encryptedData', 'iv', 'rawData', 'signature']

/** Tokens: had once, renewed by one call however many wait for it. `call(body, timeout)` is POST /api/auth. */
export function createSession({ platform, appid, timeout }, store, call) {
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
