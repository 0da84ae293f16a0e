// What goes wrong between phone and server, and what the caller is told.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failure, start, strike, until, wechatFault } from './backend.mjs'

const INFO = { path: '/api/user/info' }

async function signedIn(t, options) {
  const app = await start(t, options)
  await app.kaimen.autoLogin()
  return app
}

test('without a network a call says so, and the session stays', async (t) => {
  const { kaimen, phone } = await signedIn(t)
  phone.online = false
  const error = await failure(kaimen.request(INFO))
  assert.deepEqual([error.code, error.error, error.message], [1001, 'network_error', '网络连接失败'])
  phone.online = true
  assert.ok((await kaimen.request(INFO)).id)
})

test('a launch without a network keeps the stored session for later', async (t) => {
  const app = await signedIn(t)
  const now = Date.now
  t.after(() => (Date.now = now))
  Date.now = () => now() + 901_000
  app.restart()
  app.phone.online = false
  assert.equal((await failure(app.kaimen.autoLogin())).error, 'network_error')
  assert.ok(app.kaimen.session)
  app.phone.online = true
  await app.kaimen.autoLogin()
  assert.equal(app.device.counts.login, 0)
})

test('a connection that breaks is a network error', async (t) => {
  const { kaimen, gate } = await signedIn(t)
  gate.rules.push(strike(INFO.path, 'cut'))
  assert.equal((await failure(kaimen.request(INFO))).error, 'network_error')
})

test('a server that hangs is given up after the timeout, and the place in the queue is free again', async (t) => {
  const { kaimen, gate, device } = await signedIn(t, { timeout: 300 })
  gate.rules.push(strike(INFO.path, 'hang', 12))
  const errors = await Promise.all(Array.from({ length: 12 }, () => failure(kaimen.request(INFO))))
  assert.deepEqual([...new Set(errors.map((error) => error.code))], [1002])
  assert.ok((await kaimen.request(INFO)).id)
  assert.equal(device.counts.mostRequests, 10)
})

test('a single call may wait longer or shorter', async (t) => {
  const { kaimen, gate } = await signedIn(t)
  gate.rules.push(strike(INFO.path, 'hang'))
  assert.equal((await failure(kaimen.request({ ...INFO, timeout: 100 }))).error, 'timeout')
})

test('a slow server is waited for', async (t) => {
  const { kaimen, gate } = await signedIn(t)
  gate.rules.push(({ path }) => path === INFO.path && new Promise((resolve) => setTimeout(resolve, 400)))
  assert.ok((await kaimen.request(INFO)).id)
})

test('a page of HTML, nothing at all, or JSON of somebody else is a bad reply with its status', async (t) => {
  const { kaimen, gate } = await signedIn(t)
  for (const [status, body] of [[502, '<html>Bad Gateway</html>'], [200, ''], [200, '{"ok":true}'], [200, '[]'], [204, '']]) {
    gate.rules = [strike(INFO.path, { status, body })]
    const error = await failure(kaimen.request(INFO))
    assert.deepEqual([error.code, error.error, error.statusCode], [1004, 'bad_reply', status])
  }
})

test('HTML in the place of new tokens ends no session', async (t) => {
  const { kaimen, gate } = await signedIn(t)
  gate.rules.push(strike('/api/auth', { status: 502, body: '<html></html>' }))
  assert.equal((await failure(kaimen.refresh())).error, 'bad_reply')
  assert.ok(kaimen.session)
  await kaimen.refresh()
})

test('429 is told with the seconds to wait, and nothing is sent again by itself', async (t) => {
  const { kaimen, gate } = await signedIn(t)
  const body = JSON.stringify({ code: 4290, error: 'rate_limited', message: '请求过于频繁，请稍后再试', data: null })
  gate.rules.push(strike(INFO.path, { status: 429, body, headers: { 'Retry-After': '7' } }))
  const error = await failure(kaimen.request(INFO))
  assert.deepEqual([error.code, error.retryAfter], [4290, 7])
  assert.equal(gate.count(INFO.path), 1)
})

test('a refresh that is limited keeps the session for the next try', async (t) => {
  const { kaimen, gate, device } = await signedIn(t)
  const body = JSON.stringify({ code: 4290, error: 'rate_limited', message: '', data: null })
  gate.rules.push(strike('/api/auth', { status: 429, body }))
  assert.equal((await failure(kaimen.refresh())).code, 4290)
  await kaimen.refresh()
  assert.equal(device.counts.login, 1)
})

test('trouble of WeChat reaches the caller as the server tells it', async (t) => {
  const { kaimen } = await start(t)
  await wechatFault({ api: 'jscode2session', errcode: 45011, times: 1 })
  assert.equal((await failure(kaimen.login())).code, 4292)
  await wechatFault({ api: 'jscode2session', errcode: 40226, times: 1 })
  assert.equal((await failure(kaimen.login())).error, 'wx_user_blocked')
  assert.ok(await kaimen.login())
})

test('a wx.login that fails says so', async (t) => {
  const app = await start(t)
  app.wx.login = ({ fail }) => fail({ errMsg: 'login:fail system error', errno: 600001 })
  const error = await failure(app.kaimen.login())
  assert.deepEqual([error.code, error.error, error.errno, error.cause], [1007, 'wx_failed', 600001, 'login:fail system error'])
  app.wx.login = ({ success }) => success({ errMsg: 'login:ok' })
  assert.equal((await failure(app.kaimen.login())).error, 'wx_failed')
})

test('a full storage is a warning: the session lasts until the app ends, and its next start logs in', async (t) => {
  const app = await start(t)
  app.phone.storageMax = 0
  await app.kaimen.autoLogin()
  assert.ok((await app.kaimen.request(INFO)).id)
  assert.equal(app.warnings[0].error, 'storage_failed')
  assert.match(app.warnings[0].cause, /limit/)
  app.restart()
  assert.equal(app.kaimen.session, null)
  await app.kaimen.autoLogin()
  assert.equal(app.device.counts.login, 1)
})

test('a storage that fills up keeps no used refresh token', async (t) => {
  const app = await signedIn(t)
  app.phone.storageMax = 0
  await app.kaimen.refresh()
  app.phone.storageMax = 1e7
  app.restart()
  assert.equal(app.kaimen.session, null)
  await app.kaimen.autoLogin()
  assert.equal(app.gate.refreshes(), 1)
})

test('abort rejects at once, whether the call waits for a token, in the queue, or for the server', async (t) => {
  const { kaimen, gate, device } = await start(t, { maxRequests: 1 })
  const early = kaimen.request(INFO)
  early.abort()
  assert.equal((await failure(early)).error, 'aborted')
  await kaimen.autoLogin()
  gate.rules.push(strike(INFO.path, 'hang'))
  const sent = kaimen.request(INFO)
  await until(() => gate.count(INFO.path) === 1)
  const queued = kaimen.request({ path: '/api/sessions' })
  queued.abort()
  assert.equal((await failure(queued)).error, 'aborted')
  sent.abort()
  assert.equal((await failure(sent)).error, 'aborted')
  assert.ok((await kaimen.request(INFO)).id)
  assert.equal(gate.count('/api/sessions'), 0)
  assert.equal(device.counts.mostRequests, 1)
})

test('never more than ten requests are under way, and all are answered', async (t) => {
  const { kaimen, device } = await signedIn(t)
  const replies = await Promise.all(Array.from({ length: 60 }, () => kaimen.request(INFO)))
  assert.equal(replies.filter((one) => one.id).length, 60)
  assert.equal(device.counts.mostRequests, 10)
})

test('another server gets the token only if it is named, and its own sign of expiry is understood', async (t) => {
  const { kaimen, gate } = await start(t)
  const other = (await start(t)).gate
  const url = `${other.url}/orders`
  const answers = [{ status: 200, body: '{"errno":"LOGIN"}' }, { status: 200, body: '{"orders":[1]}' }]
  other.rules.push(({ path }) => path === '/orders' && answers.shift())
  const error = await failure(kaimen.request({ url }))
  assert.deepEqual([error.code, /origins/.test(error.message)], [1005, true])
  const named = await start(t, { origins: [other.url], isExpired: ({ data }) => data.errno === 'LOGIN' })
  const reply = await named.kaimen.request({ url, method: 'POST', data: { n: 1 } })
  assert.deepEqual([reply.statusCode, reply.data], [200, { orders: [1] }])
  assert.equal(named.gate.refreshes(), 1)
  const [first, second] = other.seen.filter((call) => call.path === '/orders')
  assert.match(first.headers.authorization, /^Bearer ey/)
  assert.notEqual(first.headers.authorization, second.headers.authorization)
  assert.equal(second.body, '{"n":1}')
  assert.equal(gate.seen.length, 0)
})

test('a server that is not ours gets no token with auth: false', async (t) => {
  const { kaimen } = await signedIn(t)
  const other = (await start(t)).gate
  other.rules.push(() => ({ status: 404, body: 'no' }))
  assert.equal((await kaimen.request({ url: `${other.url}/x`, auth: false })).statusCode, 404)
  assert.equal(other.seen[0].headers.authorization, undefined)
})

const WRONG_OPTIONS = [
  [undefined, 'createKaimen'],
  [{}, 'createKaimen.baseUrl'],
  [{ baseUrl: 'login.example.com' }, 'baseUrl'],
  [{ baseUrl: 'https://user:pw@login.example.com' }, 'baseUrl'],
  [{ baseUrl: 'https://login.example.com/?x' }, 'baseUrl'],
  [{ baseUrl: { release: 'https://a.example' } }, 'baseUrl.develop'],
  [{ baseUrl: 'https://a.example', baseurl: 1 }, 'createKaimen.baseurl'],
  [{ baseUrl: 'https://a.example', timeout: 60001 }, 'createKaimen.timeout'],
  [{ baseUrl: 'https://a.example', timeout: '9' }, null],
  [{ baseUrl: 'https://a.example', maxRequests: 11 }, 'createKaimen.maxRequests'],
  [{ baseUrl: 'https://a.example', origins: 'https://b.example' }, 'createKaimen.origins'],
  [{ baseUrl: 'https://a.example', origins: ['https://b.example/path'] }, 'createKaimen.origins'],
  [{ baseUrl: 'https://a.example', isExpired: true }, 'createKaimen.isExpired'],
  [{ baseUrl: 'https://a.example', appid: 'touristappid' }, 'createKaimen.appid'],
  [{ baseUrl: 'https://a.example', language: 'fr' }, 'createKaimen.language'],
  [{ baseUrl: 'https://a.example', platform: {} }, 'platform.login'],
]

test('a wrong option stops at once and names itself', async (t) => {
  const { wx } = await start(t)
  const { createKaimen } = (await import('../../miniprogram/kaimen/index.mjs'))
  for (const [options, named] of WRONG_OPTIONS) {
    const make = () => createKaimen(options && { platform: wx, ...options })
    if (named === null) make()
    else assert.throws(make, (error) => error.code === 1005 && error.message.startsWith(`kaimen: wrong ${named}`), named)
  }
  assert.throws(() => createKaimen({ baseUrl: 'https://a.example' }), /createKaimen.platform/)
})

test('the release version takes https only, and each version has its own server', async (t) => {
  const { wx } = await start(t)
  const { createKaimen } = await import('../../miniprogram/kaimen/index.mjs')
  const as = (envVersion) => ({ ...wx, getAccountInfoSync: () => ({ miniProgram: { envVersion } }) })
  const baseUrl = { develop: 'http://127.0.0.1:8000', trial: 'https://t.example/login/', release: 'https://r.example' }
  const chosen = ['develop', 'trial', 'release'].map((one) => createKaimen({ baseUrl, platform: as(one) }).baseUrl)
  assert.deepEqual(chosen, ['http://127.0.0.1:8000', 'https://t.example/login', 'https://r.example'])
  const insecure = { baseUrl: 'http://r.example', platform: as('release') }
  assert.throws(() => createKaimen(insecure), /baseUrl.release: needs https/)
  assert.throws(() => createKaimen({ ...insecure, platform: { ...wx, getAccountInfoSync: undefined } }), /needs https/)
})

test('wrong arguments are refused before anything is sent', async (t) => {
  const { kaimen, gate, device } = await start(t)
  const wrong = {
    request: [undefined, {}, { path: '/a', url: 'https://b' }, { path: 'a' }, { path: '//evil.example/' }, { ...INFO, body: 1 }],
    login: [{ user: 'x' }, { username: 'x' }, { password: 'x' }, { username: 'a', password: 'b', wechat: true }, { iv: 'x' }],
    register: [{ username: 'x' }, { username: 'a', password: 'b', phoneCode: 'c' }],
    updateProfile: [undefined, {}, { name: 'x' }, { avatar: 7 }],
    bindPhone: [undefined, 'x'],
    decrypt: [undefined, () => ({})],
    confirmScan: ['', undefined, {}, { scene: 'short' }, 'x'.repeat(99)],
  }
  await kaimen.autoLogin()
  const before = gate.seen.length
  for (const [name, list] of Object.entries(wrong)) {
    for (const argument of list) {
      const error = await failure(kaimen[name](argument))
      assert.deepEqual([name, error.code], [name, 1005])
      assert.match(error.message, /^kaimen: wrong /)
    }
  }
  assert.match((await failure(kaimen.request({ ...INFO, method: 'PATCH' }))).message, /use PUT/)
  assert.equal(gate.seen.length, before)
  assert.equal(device.counts.login, 1)
  assert.throws(() => kaimen.onSession(), /onSession/)
  assert.throws(() => kaimen.onNeedPrivacyAuthorization(), /onNeedPrivacyAuthorization/)
})
