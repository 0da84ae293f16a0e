import { isObject, must, mustHaveOnly, speak } from './errors.js'

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

export function isTimeout(value) {
  return value > 0 && value <= 60000
}

/** The options with their defaults; throws invalid_argument for the first that is wrong. */
export function readOptions(given) {
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
