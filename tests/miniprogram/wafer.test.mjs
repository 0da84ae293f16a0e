// Tencent's own client, as npm has it, against this backend.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { Gate, Phone, SIMULATOR, createWx, failure } from './backend.mjs'

const require = createRequire(import.meta.url)
const VERSIONS = { '1.1.3': 'wafer2-client-sdk-1', '2.1.0': 'wafer2-client-sdk' }
const promised = (call) => (options = {}) => new Promise((success, fail) => call({ ...options, success, fail }))

async function start(t, name) {
  const gate = await new Gate().start()
  t.after(() => gate.stop())
  const phone = new Phone({ simulator: SIMULATOR, user: `w${process.pid}${Date.now()}` })
  await phone.sim('users', { name: phone.user, nickname: 'Lin', avatarUrl: 'https://thirdwx.qlogo.cn/a/132' })
  const { wx, device } = createWx(phone)
  for (const event of ['Open', 'Close', 'Message', 'Error']) wx[`onSocket${event}`] = () => {}
  globalThis.wx = wx
  for (const path of Object.keys(require.cache)) if (path.includes(name)) delete require.cache[path]
  const sdk = require(name)
  sdk.setLoginUrl(`${gate.url}/weapp/login`)
  const login = promised(sdk.login)
  const loginWithCode = sdk.loginWithCode && promised(sdk.loginWithCode)
  return { gate, phone, device, sdk, login, loginWithCode, request: promised(sdk.request), url: `${gate.url}/weapp/user` }
}

for (const [version, name] of Object.entries(VERSIONS)) {
  test(`wafer2-client-sdk ${version}: login gives WeChat's profile, and a request carries the skey`, async (t) => {
    const { login, request, url, sdk } = await start(t, name)
    const userinfo = await login()
    assert.equal(userinfo.nickName, 'Lin')
    assert.ok((sdk.Session || { get: () => ({ skey: true }) }).get().skey)
    const reply = await request({ url, login: false })
    assert.deepEqual([reply.statusCode, reply.data.code], [200, 0])
    assert.equal(reply.data.data.nickName, 'Lin')
  })

  test(`wafer2-client-sdk ${version}: a skey that is stale makes it log in again and ask again`, async (t) => {
    const { login, request, url, phone, gate } = await start(t, name)
    await login()
    const [[key, text]] = [...phone.storage]
    const session = JSON.parse(text)
    phone.storage.set(key, JSON.stringify({ ...session, skey: `${session.skey.slice(0, -3)}AAA` }))
    const reply = await request({ url, login: true })
    assert.equal(reply.data.data.nickName, 'Lin')
    phone.storage.set(key, JSON.stringify({ ...session, skey: 'f'.repeat(40) })) // as Tencent's server made them
    const again = await request({ url })
    assert.equal(again.data.code, 0)
    assert.ok(gate.count('/weapp/login') >= 2)
  })

  test(`wafer2-client-sdk ${version}: a server in trouble is no reason to log in again`, async (t) => {
    const { login, request, url, gate } = await start(t, name)
    await login()
    const body = JSON.stringify({ code: 5001, error: 'database_unavailable', message: '', data: null })
    gate.rules.push(({ path }) => path === '/weapp/user' && { status: 503, body })
    const reply = await request({ url })
    assert.equal(reply.statusCode, 503)
    assert.equal(gate.count('/weapp/login'), 1)
  })

  test(`wafer2-client-sdk ${version}: a login that is refused fails`, async (t) => {
    const { login, phone } = await start(t, name)
    await phone.sim('users', { name: phone.user, blocked: true })
    assert.ok(await failure(login()))
  })
}

test('wafer2-client-sdk 2.1.0: a login by code alone', async (t) => {
  const { loginWithCode, request, url } = await start(t, VERSIONS['2.1.0'])
  const userinfo = await loginWithCode()
  assert.equal((await request({ url, login: true })).data.data.id, userinfo.id)
})
