import { readOptions } from './options.js'
import { createPrivacy } from './privacy.js'
import { createRequests } from './request.js'
import { confirmScan, scanIdOf } from './scan.js'
import { createSession } from './session.js'
import { createStore } from './store.js'
import { createUserCalls } from './user.js'
import { createWatch } from './watch.js'

/** The login of a mini-program: make one, in app.js, and use it everywhere. */
export function createKaimen(given) {
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

export { scanIdOf }
