import { localError, textOf } from './errors.js'

/**
 * The session in the phone's storage. The key has the server in it: the develop, trial and release versions of a
 * mini-program share one storage, and a token of one server is nothing to another.
 */
export function createStore({ platform, storageKey, baseUrl, onWarning }) {
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
