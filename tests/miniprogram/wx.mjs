// WeChat's `wx` for Node: its functions, its limits, and a simulator where WeChat's own servers would be.
//
// What it refuses, WeChat refuses: unknown methods, an eleventh request, Referer, values that storage cannot hold.
import http from 'node:http'
import WebSocket from 'ws'

const METHODS = ['OPTIONS', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'TRACE', 'CONNECT']
const REQUESTS = 10
const SOCKETS = 5
const TIMEOUT_MS = 60000
const KEY_MAX = 1024 * 1024
const STORAGE_MAX = 10 * 1024 * 1024
const BACKGROUND_MS = 5000
export const APPID = 'wx0000000000000001'

/** The phone under the app: what lasts when the app is killed. */
export class Phone {
  constructor({ simulator, user = 'alice', appid = APPID } = {}) {
    Object.assign(this, { simulator, user, appid, storage: new Map(), files: new Map(), sessionValid: false })
    this.storageMax = STORAGE_MAX
    this.online = true
  }

  async sim(call, body) {
    const reply = await fetch(`${this.simulator}/sim/${call}`, { method: 'POST', body: JSON.stringify(body) })
    const answer = await reply.json()
    if (!reply.ok) throw new Error(`${call}: ${answer.error}`)
    return answer
  }

  async code() {
    const { code } = await this.sim('login', { appid: this.appid, user: this.user })
    this.sessionValid = true
    return code
  }

  openData(kind, more = {}) {
    return this.sim('open-data', { appid: this.appid, user: this.user, kind, ...more })
  }

  /** The event of <button open-type="getPhoneNumber">. */
  async tapPhone({ old = false } = {}) {
    if (old) return { detail: { errMsg: 'getPhoneNumber:ok', ...(await this.openData('phone')) } }
    const { code } = await this.sim('phone-code', { appid: this.appid, user: this.user })
    return { detail: { errMsg: 'getPhoneNumber:ok', code } }
  }

  /** A file such as <button open-type="chooseAvatar"> gives. */
  addFile(bytes, name = `wxfile://tmp_${this.files.size}.png`) {
    this.files.set(name, bytes)
    return name
  }
}

/** `wx` of one run of the app; `counts` says what it did. */
export function createWx(phone, { envVersion = 'develop' } = {}) {
  const counts = { login: 0, checkSession: 0, request: 0, mostRequests: 0, sockets: 0 }
  const listeners = { show: [], hide: [], privacy: [] }
  const under = new Set() // requests under way
  const sockets = new Set()
  let alive = true

  const wx = {
    login: (options) => answer('login', options, async () => (counts.login++, { code: await phone.code() })),
    checkSession: (options) =>
      answer('checkSession', options, async () => {
        counts.checkSession += 1
        if (!phone.sessionValid) throw new Error('session is expired')
        return {}
      }),
    request: (options) => request(options),
    connectSocket: (options) => connectSocket(options),
    getAccountInfoSync: () => ({ miniProgram: { appId: phone.appid, envVersion, version: '' } }),
    getUserInfo: (options) =>
      answer('getUserInfo', options, async () => {
        const data = await phone.openData('userInfo')
        return { ...data, userInfo: JSON.parse(data.rawData) }
      }),
    getGroupEnterInfo: (options) => answer('getGroupEnterInfo', options, () => phone.openData('group')),
    getFileSystemManager: () => ({ readFile }),
    compressImage: (options) =>
      answer('compressImage', options, async () => {
        const bytes = phone.files.get(options.src)
        return { tempFilePath: phone.addFile(bytes.slice(0, bytes.length >> (options.quality < 80 ? 2 : 1))) }
      }),
    onAppShow: (listener) => listeners.show.push(listener),
    onAppHide: (listener) => listeners.hide.push(listener),
    onNeedPrivacyAuthorization: (listener) => listeners.privacy.push(listener),
    ...storageOf(phone),
  }

  function readFile(options) {
    answer('readFile', options, async () => {
      const bytes = phone.files.get(options.filePath)
      if (!bytes) throw new Error(`no such file or directory, open ${options.filePath}`)
      return { data: new Uint8Array(bytes).buffer }
    })
  }

  /** Calls back as wx does: later, and only one of success and fail; a promise without any of them. */
  function answer(name, options = {}, work) {
    const done = work().then(
      (result) => ({ errMsg: `${name}:ok`, ...result }),
      (error) => Promise.reject({ errMsg: `${name}:fail ${error.message}` }),
    )
    if (!options.success && !options.fail && !options.complete) return done
    const call = (handler, value) => {
      if (!alive) return // the app was killed meanwhile
      if (handler) handler(value)
      if (options.complete) options.complete(value)
    }
    done.then(
      (result) => call(options.success, result),
      (failure) => call(options.fail, failure),
    )
    return undefined
  }

  function request(options) {
    let abort
    const aborted = new Promise((_, reject) => {
      abort = (why = 'abort') => reject(new Error(why))
    })
    aborted.catch(() => {})
    const entry = { abort }
    const promise = answer('request', options, async () => {
      counts.request += 1
      if (under.size >= REQUESTS) throw new Error('exceed max task count')
      under.add(entry)
      counts.mostRequests = Math.max(counts.mostRequests, under.size)
      const { done, kill } = exchange(phone, options)
      const timeout = Math.min(options.timeout || TIMEOUT_MS, TIMEOUT_MS)
      const timer = setTimeout(() => abort('timeout'), timeout)
      try {
        return await Promise.race([done, aborted])
      } finally {
        clearTimeout(timer)
        kill()
        under.delete(entry)
      }
    })
    return promise || { abort: () => abort(), onHeadersReceived() {}, offHeadersReceived() {}, onChunkReceived() {} }
  }

  function connectSocket(options) {
    if (sockets.size >= SOCKETS) {
      answer('connectSocket', options, async () => {
        throw new Error('exceed max connections')
      })
      return socketTask(null)
    }
    answer('connectSocket', options, async () => ({}))
    counts.sockets += 1
    const socket = new WebSocket(options.url, options.protocols || [], { headers: options.header || {} })
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    return socketTask(socket)
  }

  function socketTask(socket) {
    const on = (event, map) => (listener) => socket && socket.on(event, (...args) => alive && listener(map(...args)))
    return {
      onOpen: on('open', () => ({ header: {} })),
      onMessage: on('message', (data, isBinary) => ({ data: isBinary ? data : data.toString() })),
      onClose: on('close', (code, reason) => ({ code, reason: String(reason) })),
      onError: on('error', (error) => ({ errMsg: error.message })),
      send: (message) => answer('sendSocketMessage', message, async () => socket.send(message.data)),
      close: ({ code = 1000, reason = '' } = {}) => socket && socket.close(code, reason),
    }
  }

  /** What people and the system do to the app. */
  const device = {
    counts,
    sockets,
    hide() {
      listeners.hide.forEach((listener) => listener({}))
      const left = [...under]
      const timer = setTimeout(() => left.forEach(({ abort }) => abort('interrupted')), BACKGROUND_MS)
      timer.unref()
    },
    show: () => listeners.show.forEach((listener) => listener({})),
    kill() {
      alive = false
      sockets.forEach((socket) => socket.terminate())
    },
    /** A call that needs the privacy consent: true once the app says "agree". */
    needPrivacy: (referrer) =>
      new Promise((resolve) => {
        const settle = ({ event }) => event !== 'exposureAuthorization' && resolve(event === 'agree')
        listeners.privacy.forEach((listener) => listener(settle, { referrer }))
      }),
  }
  return { wx, device }
}

/** The HTTP exchange as WeChat does it: any status is a success. */
function exchange(phone, { url, method = 'GET', data, header = {}, dataType = 'json', responseType = 'text' }) {
  const { target, body, headers } = prepare({ url, method, data, header })
  let native = null
  const done = new Promise((resolve, reject) => {
    if (!phone.online) throw new Error('net::ERR_INTERNET_DISCONNECTED')
    native = http.request(target, { method, headers, agent: false }, (reply) => {
      const chunks = []
      reply.on('data', (chunk) => chunks.push(chunk))
      reply.on('error', reject)
      reply.on('end', () => {
        const read = decode(Buffer.concat(chunks), dataType, responseType)
        resolve({ data: read, statusCode: reply.statusCode, header: shown(reply), cookies: [] })
      })
    })
    native.on('error', (error) => reject(new Error(`net::${error.code}`)))
    native.end(body)
  })
  return { done, kill: () => native && native.destroy() }
}

function prepare({ url, method, data, header }) {
  if (!/^https?:\/\//.test(url)) throw new Error(`invalid url "${url}"`)
  if (!METHODS.includes(method)) throw new Error(`method is invalid: ${method}`)
  const headers = { 'content-type': 'application/json', 'user-agent': 'Mozilla/5.0 (iPhone) MicroMessenger/8.0.50' }
  for (const [name, value] of Object.entries(header)) {
    if (typeof value !== 'string') throw new Error(`header ${name} must be a string`)
    if (name.toLowerCase() !== 'referer') headers[name.toLowerCase()] = value
  }
  headers.referer = `https://servicewechat.com/${APPID}/devtools/page-frame.html`
  const target = new URL(url)
  let body = null
  if (data instanceof ArrayBuffer) body = Buffer.from(data)
  else if (typeof data === 'string') body = data
  else if (data && method === 'GET') Object.entries(data).forEach(([name, value]) => target.searchParams.set(name, value))
  else if (data && headers['content-type'].includes('form-urlencoded')) body = String(new URLSearchParams(data))
  else if (data) body = JSON.stringify(data)
  if (body !== null) headers['content-length'] = Buffer.byteLength(body)
  return { target, body, headers }
}

function decode(bytes, dataType, responseType) {
  if (responseType === 'arraybuffer') return new Uint8Array(bytes).buffer
  const text = bytes.toString()
  if (dataType !== 'json') return text
  try {
    return JSON.parse(text)
  } catch (error) {
    return text
  }
}

/** Header names as the server wrote them. */
function shown(reply) {
  const header = {}
  for (let at = 0; at < reply.rawHeaders.length; at += 2) header[reply.rawHeaders[at]] = reply.rawHeaders[at + 1]
  return header
}

/** Storage holds what JSON holds, 1 MB for each key and 10 MB in all. */
function storageOf(phone) {
  const size = () => [...phone.storage].reduce((sum, [key, text]) => sum + key.length + Buffer.byteLength(text), 0)
  const set = (key, value) => {
    if (typeof key !== 'string' || !key) throw new Error('setStorage:fail parameter error: key must be a string')
    const text = JSON.stringify(value === undefined ? '' : value)
    if (Buffer.byteLength(text) > KEY_MAX) throw new Error('setStorage:fail entry size limit reached')
    const before = phone.storage.get(key)
    phone.storage.set(key, text)
    if (size() > phone.storageMax) {
      if (before === undefined) phone.storage.delete(key)
      else phone.storage.set(key, before)
      throw new Error('setStorage:fail the storage size reached the limit')
    }
  }
  const get = (key) => (phone.storage.has(key) ? JSON.parse(phone.storage.get(key)) : '')
  const later = (name, work) => (options) => {
    try {
      const data = work(options)
      if (options.success) Promise.resolve().then(() => options.success({ errMsg: `${name}:ok`, data }))
    } catch (error) {
      if (options.fail) Promise.resolve().then(() => options.fail({ errMsg: error.message }))
    }
  }
  return {
    setStorageSync: set,
    getStorageSync: get,
    removeStorageSync: (key) => void phone.storage.delete(key),
    clearStorageSync: () => phone.storage.clear(),
    setStorage: later('setStorage', ({ key, data }) => set(key, data)),
    getStorage: later('getStorage', ({ key }) => get(key)),
    removeStorage: later('removeStorage', ({ key }) => void phone.storage.delete(key)),
  }
}
