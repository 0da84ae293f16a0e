// Login, refresh, logout: over a real backend, on a phone that keeps WeChat's limits.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { advance, failure, start, strike, until } from './backend.mjs'

const EXPIRED_S = 931 // 900 s, and 30 s that clocks may differ
const INFO = { path: '/api/user/info' }
const many = (count, work) => Promise.all(Array.from({ length: count }, (_, at) => work(at)))

test('a first launch logs in by WeChat and the profile opens', async (t) => {
  const { kaimen } = await start(t)
  const session = await kaimen.autoLogin()
  assert.equal(session.isNewUser, true)
  assert.equal((await kaimen.request(INFO)).id, session.user.id)
  assert.deepEqual(kaimen.session, session)
})

test('the session survives a restart and asks the server nothing', async (t) => {
  const app = await start(t)
  const { user } = await app.kaimen.autoLogin()
  const calls = app.gate.seen.length
  app.restart()
  assert.equal(app.kaimen.session.user.id, user.id)
  assert.equal((await app.kaimen.autoLogin()).user.id, user.id)
  assert.equal(app.gate.seen.length, calls)
  assert.equal(app.device.counts.login, 0)
})

test('a thousand calls before the first login share one wx.login and one session', async (t) => {
  const { kaimen, device, gate } = await start(t)
  const replies = await many(200, () => kaimen.request(INFO))
  assert.equal(new Set(replies.map((one) => one.id)).size, 1)
  assert.equal(device.counts.login, 1)
  assert.equal(gate.logins(), 1)
})

test('fifty calls at once after expiry cause exactly one refresh, and none fails', async (t) => {
  const { kaimen, gate, device } = await start(t)
  await kaimen.autoLogin()
  await advance(EXPIRED_S) // only the server knows: each call meets 4011
  const replies = await many(50, () => kaimen.request(INFO))
  assert.equal(replies.length, 50)
  assert.equal(gate.refreshes(), 1)
  assert.equal(device.counts.login, 1)
  assert.ok(gate.count('/api/user/info') > 50)
  assert.ok(gate.count('/api/user/info') <= 100)
})

test('fifty calls at once after expiry by the own clock cause one refresh and no refusal', async (t) => {
  const { kaimen, gate } = await start(t)
  await kaimen.autoLogin()
  const now = Date.now
  t.after(() => (Date.now = now))
  Date.now = () => now() + 871_000
  await many(50, () => kaimen.request(INFO))
  assert.equal(gate.refreshes(), 1)
  assert.equal(gate.count('/api/user/info'), 50)
})

test('a clock that went back makes the token stale, not eternal', async (t) => {
  const { kaimen, gate } = await start(t)
  await kaimen.autoLogin()
  const now = Date.now
  t.after(() => (Date.now = now))
  Date.now = () => now() - 86_400_000
  await kaimen.request(INFO)
  assert.equal(gate.refreshes(), 1)
})

test('a phone whose clock is years off works like any other', async (t) => {
  const now = Date.now
  t.after(() => (Date.now = now))
  Date.now = () => now() - 5 * 365 * 86_400_000
  const { kaimen, gate } = await start(t)
  await kaimen.autoLogin()
  await many(5, () => kaimen.request(INFO))
  assert.equal(gate.refreshes(), 0)
})

test('a call is replayed once, not for ever', async (t) => {
  const { kaimen, gate } = await start(t)
  await kaimen.autoLogin()
  const body = JSON.stringify({ code: 4011, error: 'token_expired', message: '', data: null })
  gate.rules.push(({ path }) => path === '/api/user/info' && { status: 401, body })
  assert.equal((await failure(kaimen.request(INFO))).code, 4011)
  assert.equal(gate.count('/api/user/info'), 2)
})

test('a lost reply of the refresh is asked for again and keeps the session', async (t) => {
  const { kaimen, gate, device } = await start(t)
  const { sessionId } = await kaimen.autoLogin()
  await advance(EXPIRED_S)
  gate.rules.push(strike('/api/auth', 'lose'))
  await kaimen.request(INFO)
  assert.equal(gate.refreshes(), 2)
  assert.equal(device.counts.login, 1)
  assert.equal(kaimen.session.sessionId, sessionId)
})

test('an app killed between refresh and storage still gets in, with the same session', async (t) => {
  const app = await start(t)
  const { sessionId } = await app.kaimen.autoLogin()
  await advance(EXPIRED_S)
  app.gate.rules.push(strike('/api/auth', 'lose', 2))
  app.kaimen.request(INFO).catch(() => {})
  await until(() => app.gate.refreshes() > 0)
  app.gate.rules.length = 0
  app.restart()
  await app.kaimen.request(INFO)
  assert.equal(app.kaimen.session.sessionId, sessionId)
  assert.equal(app.device.counts.login, 0)
})

test('an app killed so, and opened only after the grace window, logs in again by itself', async (t) => {
  const app = await start(t)
  const { user, sessionId } = await app.kaimen.autoLogin()
  const stored = new Map(app.phone.storage)
  await advance(EXPIRED_S)
  await app.kaimen.request(INFO)
  await advance(EXPIRED_S)
  app.phone.storage = stored
  app.restart()
  assert.equal((await app.kaimen.request(INFO)).id, user.id)
  assert.notEqual(app.kaimen.session.sessionId, sessionId)
  assert.equal(app.device.counts.login, 1)
})

test('a session ended elsewhere makes way for a new one, with one wx.login for all', async (t) => {
  const { kaimen, gate, device, phone } = await start(t)
  const { sessionId } = await kaimen.autoLogin()
  const other = await start(t, { user: phone.user })
  await other.kaimen.autoLogin()
  await other.kaimen.request({ path: `/api/sessions/${sessionId}`, method: 'DELETE' })
  await many(20, () => kaimen.request(INFO))
  assert.equal(device.counts.login, 2)
  assert.equal(gate.refreshes(), 0)
  assert.notEqual(kaimen.session.sessionId, sessionId)
})

test('a password session that ended is not continued as whoever holds the phone', async (t) => {
  const { kaimen, device } = await start(t)
  const username = `p${Date.now().toString(36)}`
  await kaimen.register({ username, password: 'Open-Sesame-1' })
  const heard = []
  kaimen.onSession((session, reason) => heard.push([session && session.user.username, reason]))
  await advance(8 * 86_400)
  assert.equal((await failure(kaimen.request(INFO))).code, 4012)
  assert.equal(device.counts.login, 0)
  assert.deepEqual(heard, [[username, 'stored'], [null, 'ended']])
  assert.equal(kaimen.session, null)
  await kaimen.login({ username, password: 'Open-Sesame-1' })
  assert.equal(kaimen.session.user.username, username)
})

test('register makes an account with password and WeChat at once', async (t) => {
  const { kaimen } = await start(t)
  const username = `w${Date.now().toString(36)}`
  const made = await kaimen.register({ username, password: 'Open-Sesame-1', wechat: true })
  await kaimen.logout()
  assert.equal((await kaimen.login()).user.id, made.user.id)
  assert.equal((await failure(kaimen.register())).code, 4091)
})

test('wrong credentials are told with code, name, message and request id', async (t) => {
  const { kaimen } = await start(t)
  const error = await failure(kaimen.login({ username: 'nobody1', password: 'Wrong-Password-1' }))
  assert.ok(error instanceof Error)
  assert.deepEqual([error.name, error.code, error.error, error.statusCode], ['KaimenError', 4013, 'wrong_credentials', 401])
  assert.equal(error.message, '账号或密码错误')
  assert.match(error.requestId, /^\w+$/)
  const english = await start(t, { language: 'en' })
  assert.match((await failure(english.kaimen.login({ username: 'nobody1', password: 'Wrong-Password-1' }))).message, /^Wrong user/)
})

test('login with the code of the phone button binds the phone in one tap', async (t) => {
  const { kaimen, phone } = await start(t)
  const { detail } = await phone.tapPhone()
  const { user } = await kaimen.login({ phoneCode: detail.code })
  assert.equal(user.phone, '139****0001')
})

test('login again while a login is under way joins it', async (t) => {
  const { kaimen, device } = await start(t)
  const sessions = await many(10, () => kaimen.login())
  assert.equal(new Set(sessions.map((one) => one.sessionId)).size, 1)
  assert.equal(device.counts.login, 1)
})

test('a code that is spent is followed by another one, once', async (t) => {
  const { kaimen, device, gate } = await start(t)
  const body = JSON.stringify({ code: 4005, error: 'wx_code_used', message: '', data: null })
  gate.rules.push(strike('/api/auth', { status: 400, body }))
  await kaimen.autoLogin()
  assert.equal(device.counts.login, 2)
  gate.rules.push(strike('/api/auth', { status: 400, body }, 9))
  assert.equal((await failure(kaimen.login())).code, 4005)
  assert.equal(device.counts.login, 4)
})

test('after a logout nothing logs in by itself, not even after a restart', async (t) => {
  const app = await start(t)
  await app.kaimen.autoLogin()
  await app.kaimen.logout()
  assert.equal(app.gate.count('/api/auth/logout'), 1)
  assert.equal(app.kaimen.session, null)
  assert.equal((await failure(app.kaimen.request(INFO))).error, 'logged_out')
  app.restart()
  assert.equal(await app.kaimen.autoLogin(), null)
  assert.equal((await failure(app.kaimen.getAccessToken())).code, 1008)
  assert.equal(app.device.counts.login, 0)
  await app.kaimen.login()
  assert.ok((await app.kaimen.request(INFO)).id)
})

test('a logout with an expired token ends the session on the server all the same', async (t) => {
  const { kaimen, phone } = await start(t)
  const { sessionId } = await kaimen.autoLogin()
  const now = Date.now
  t.after(() => (Date.now = now))
  Date.now = () => now() + 901_000
  await advance(EXPIRED_S)
  await kaimen.logout()
  const other = await start(t, { user: phone.user })
  const { sessions } = await other.kaimen.request({ path: '/api/sessions' })
  assert.ok(!sessions.some((one) => one.id === sessionId))
})

test('the phone forgets the session even when the server cannot be told', async (t) => {
  const { kaimen, phone } = await start(t)
  await kaimen.autoLogin()
  phone.online = false
  assert.equal((await failure(kaimen.logout())).error, 'network_error')
  assert.equal(kaimen.session, null)
  assert.doesNotMatch([...phone.storage.values()].join(), /refreshToken/)
})

test('a refresh that comes back after the logout does not log in again', async (t) => {
  const { kaimen, gate } = await start(t)
  await kaimen.autoLogin()
  let release
  const held = new Promise((resolve) => (release = resolve))
  gate.rules.push(async ({ path, body }) => (path === '/api/auth' && body.includes('autoLogin') ? held : null))
  const refreshing = failure(kaimen.refresh())
  await until(() => gate.refreshes() === 1)
  await kaimen.logout()
  release(null)
  assert.equal((await refreshing).error, 'logged_out')
  assert.equal(kaimen.session, null)
})

test('logout of all ends the sessions of other phones', async (t) => {
  const one = await start(t)
  const two = await start(t, { user: one.phone.user })
  await one.kaimen.autoLogin()
  await two.kaimen.autoLogin()
  await one.kaimen.logout({ all: true })
  const token = await two.kaimen.getAccessToken()
  await two.kaimen.request(INFO)
  assert.notEqual(await two.kaimen.getAccessToken(), token)
  assert.equal(two.device.counts.login, 2)
})

test('onSession tells of the stored session, of changes, and of nothing after it was ended', async (t) => {
  const app = await start(t)
  const heard = []
  const end = app.kaimen.onSession((session, reason) => heard.push([!!session, reason]))
  await app.kaimen.autoLogin()
  await app.kaimen.updateProfile({ nickname: 'Mo' })
  await app.kaimen.logout()
  assert.deepEqual(heard, [[true, 'login'], [true, 'updated'], [false, 'logout']])
  end()
  end()
  await app.kaimen.login()
  assert.equal(heard.length, 3)
  app.restart()
  app.kaimen.onSession((session, reason) => heard.push([session.user.nickname, reason]))
  assert.deepEqual(heard[3], ['Mo', 'stored'])
})

test('a request layer of its own gets good tokens and refreshes once for a refused one', async (t) => {
  const { kaimen, gate } = await start(t)
  const token = await kaimen.getAccessToken()
  assert.equal(await kaimen.getAccessToken(), token)
  const fresh = await many(5, () => kaimen.refresh(token))
  assert.equal(new Set(fresh).size, 1)
  assert.notEqual(fresh[0], token)
  assert.equal(gate.refreshes(), 1)
  assert.equal(await kaimen.refresh(token), fresh[0])
  assert.notEqual(await kaimen.refresh(), fresh[0])
})

test('two servers on one phone keep their sessions apart', async (t) => {
  const app = await start(t)
  await app.kaimen.autoLogin()
  const { sessionId } = app.kaimen.session
  app.restart({ baseUrl: app.gate.url.replace('127.0.0.1', 'localhost') })
  assert.equal(app.kaimen.session, null)
  await app.kaimen.autoLogin()
  assert.notEqual(app.kaimen.session.sessionId, sessionId)
  app.restart()
  assert.equal(app.kaimen.session.sessionId, sessionId)
})

test('tokens of another environment under the same name are replaced by a login', async (t) => {
  const app = await start(t)
  await app.kaimen.autoLogin()
  const [[key, text]] = [...app.phone.storage]
  const stored = JSON.parse(text)
  const swap = (token) => token.slice(0, -4) + (token.endsWith('AAAA') ? 'BBBB' : 'AAAA')
  const foreign = { ...stored, accessToken: swap(stored.accessToken), refreshToken: swap(stored.refreshToken) }
  app.phone.storage.set(key, JSON.stringify(foreign))
  app.restart()
  assert.equal((await app.kaimen.request(INFO)).id, stored.user.id)
  assert.equal(app.device.counts.login, 1)
})

test('rubbish in the storage is no session', async (t) => {
  const app = await start(t)
  await app.kaimen.autoLogin()
  const [key] = app.phone.storage.keys()
  for (const rubbish of ['[]', '7', '"x"', 'null', '{}', '{"accessToken":"a"}']) {
    app.phone.storage.set(key, rubbish)
    app.restart()
    assert.equal(app.kaimen.session, null)
    assert.ok((await app.kaimen.autoLogin()).user.id)
  }
})
