import { localError, must, mustHaveOnly, serverError } from './errors.js'
import { isTimeout } from './options.js'
import { abortable, createQueue, send } from './transport.js'

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS']
const REQUEST = ['path', 'url', 'method', 'data', 'header', 'timeout', 'auth', 'dataType', 'responseType']
export const SESSION_IS_OVER = [4012, 4014, 4015]
const NEEDS_A_TOKEN = [4010, 4011]

/** Requests to Kaimen by `path`, to other servers by `url`; with the token, and once again with a new one. */
export function createRequests({ platform, baseUrl, origins, isExpired, language, timeout, maxRequests }) {
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
export function unwrap(reply) {
  const { data, statusCode } = reply
  if (!data || !data.code) throw localError('bad_reply', `HTTP ${statusCode}`, { statusCode })
  if (statusCode >= 300 || data.code >= 300) throw serverError(data, reply)
  return data.data
}
