// Phone, profile, open data, privacy, and the socket.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { advance, failure, start, strike, until } from './backend.mjs'

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)

async function signedIn(t, options) {
  const app = await start(t, options)
  await app.kaimen.autoLogin()
  return app
}

test('the tap on the phone button binds the phone, by code and in the old way', async (t) => {
  for (const old of [false, true]) {
    const { kaimen, phone } = await signedIn(t)
    assert.equal(await kaimen.bindPhone(await phone.tapPhone({ old })), '139****0001')
    assert.equal(kaimen.session.user.phone, '139****0001')
  }
})

test('the phone code is not lost on an expired token', async (t) => {
  const { kaimen, phone, gate } = await signedIn(t)
  const body = JSON.stringify({ code: 4011, error: 'token_expired', message: '', data: null })
  gate.rules.push(strike('/api/user/phone', { status: 401, body }))
  assert.equal(await kaimen.bindPhone(await phone.tapPhone()), '139****0001')
  assert.equal(gate.refreshes(), 1)
})

test('a user who refuses is told from one whose phone failed', async (t) => {
  const { kaimen, gate } = await signedIn(t)
  const calls = gate.seen.length
  const tap = (errMsg, errno) => failure(kaimen.bindPhone({ detail: { errMsg, errno } }))
  assert.equal((await tap('getPhoneNumber:fail user deny')).error, 'user_denied')
  assert.equal((await tap(undefined)).code, 1006)
  const quota = await tap('getPhoneNumber:fail jsapi has no permission, quota exhausted', 1400001)
  assert.equal(quota.errno, 1400001)
  assert.equal(gate.seen.length, calls)
})

test('a phone under a stale session_key is refused, and the next tap works', async (t) => {
  const { kaimen, phone, device } = await signedIn(t)
  const event = await phone.tapPhone({ old: true })
  for (let times = 0; times < 3; times += 1) await phone.code() // another page called wx.login
  const stale = { detail: { ...event.detail, ...(await phone.openData('phone')) } }
  const error = await failure(kaimen.bindPhone(stale))
  assert.deepEqual([error.code, error.data.reason], [4003, 'stale_session_key'])
  assert.equal(device.counts.login, 2)
  assert.equal(await kaimen.bindPhone(await phone.tapPhone({ old: true })), '139****0001')
})

test('open data is decrypted without a login while the session_key is good', async (t) => {
  const { kaimen, wx, device } = await signedIn(t)
  const data = await kaimen.decrypt(() => wx.getGroupEnterInfo())
  assert.match(data.openGId, /^t/)
  assert.equal(data.watermark, undefined)
  assert.deepEqual([device.counts.checkSession, device.counts.login], [1, 1])
})

test('with signature and raw data too', async (t) => {
  const { kaimen, wx } = await signedIn(t)
  assert.equal((await kaimen.decrypt(() => wx.getUserInfo())).nickName, 'Lin')
})

test('when WeChat says that the session is over, the login comes before the fetching', async (t) => {
  const { kaimen, wx, phone, device } = await signedIn(t)
  phone.sessionValid = false
  const order = []
  const login = wx.login
  wx.login = (options) => (order.push('login'), login(options))
  await kaimen.decrypt(() => (order.push('fetch'), wx.getGroupEnterInfo()))
  assert.deepEqual(order, ['login', 'fetch'])
  assert.equal(device.counts.login, 2)
})

test('a stale session_key is cured once by login and a new fetch, unseen by the caller', async (t) => {
  const { kaimen, wx, phone } = await signedIn(t)
  for (let times = 0; times < 3; times += 1) await phone.code()
  let fetched = 0
  const data = await kaimen.decrypt(() => ((fetched += 1), wx.getGroupEnterInfo()))
  assert.match(data.openGId, /^t/)
  assert.equal(fetched, 2)
})

test('a stale session_key that stays stale is told after one more try', async (t) => {
  const { kaimen, phone, device } = await signedIn(t)
  let fetched = 0
  const old = () => ((fetched += 1), phone.openData('group', { keyVersion: 'older' }))
  const error = await failure(kaimen.decrypt(old))
  assert.deepEqual([error.data.reason, fetched, device.counts.login], ['stale_session_key', 2, 2])
})

test('data of another app is not tried again', async (t) => {
  const { kaimen, phone } = await signedIn(t)
  const other = () => phone.openData('group', { watermarkAppid: 'wx0000000000000002' })
  assert.equal((await failure(kaimen.decrypt(other))).data.reason, 'wrong_app')
})

test('what the user refuses to give is told as it is', async (t) => {
  const { kaimen } = await signedIn(t)
  const refused = Object.assign(new Error('no'), { errMsg: 'getGroupEnterInfo:fail auth deny' })
  assert.equal(await failure(kaimen.decrypt(() => Promise.reject(refused))), refused)
})

test('nickname and avatar are changed together, and the picture is served', async (t) => {
  const { kaimen, phone } = await signedIn(t)
  const user = await kaimen.updateProfile({ avatar: phone.addFile(PNG), nickname: '林小满😀', email: 'lin@example.com' })
  assert.deepEqual([user.nickname, user.email], ['林小满😀', 'lin@example.com'])
  assert.match(user.avatarUrl, /\/avatar\/[\w-]{22}\.png$/)
  assert.deepEqual(kaimen.session.user, user)
  const name = user.avatarUrl.split('/').pop()
  const picture = await kaimen.request({ url: `${kaimen.baseUrl}/avatar/${name}`, auth: false, responseType: 'arraybuffer' })
  assert.equal(picture.header['Content-Type'], 'image/png')
  assert.deepEqual(Buffer.from(picture.data).subarray(0, 8), PNG.subarray(0, 8))
  const fresh = await kaimen.fetchUser()
  assert.deepEqual([fresh.avatarUrl, fresh.bindings.length], [user.avatarUrl, 1])
})

test('a picture that is too large is compressed first', async (t) => {
  const { kaimen, phone, gate } = await signedIn(t)
  const large = Buffer.concat([PNG, Buffer.alloc(600 * 1024)])
  await kaimen.updateProfile({ avatar: phone.addFile(large) })
  const sent = gate.seen.find((call) => call.path === '/api/user/avatar')
  assert.ok(sent.body.length < 512 * 1024)
})

test('what is no picture is refused on the phone, what is a bad one by the server', async (t) => {
  const { kaimen, phone, gate } = await signedIn(t)
  assert.equal((await failure(kaimen.updateProfile({ avatar: phone.addFile(Buffer.from('GIF89a')) }))).code, 1005)
  assert.equal(gate.count('/api/user/avatar'), 0)
  assert.equal((await failure(kaimen.updateProfile({ avatar: phone.addFile(PNG.subarray(0, 40)) }))).code, 4150)
  assert.equal((await failure(kaimen.updateProfile({ avatar: 'wxfile://gone.png' }))).error, 'wx_failed')
  const error = await failure(kaimen.updateProfile({ nickname: '' }))
  assert.deepEqual([error.code, error.data.field], [4000, 'nickname'])
})

test('the privacy dialog is shown once for all that wait, and the word is kept', async (t) => {
  const { kaimen, device } = await signedIn(t)
  const asked = []
  let answer
  kaimen.onNeedPrivacyAuthorization(
    (info) => (asked.push(info.referrer), new Promise((resolve) => (answer = resolve))),
    { policy: 'privacy', version: '2026-11' },
  )
  const waiting = [device.needPrivacy('chooseAvatar'), device.needPrivacy('getPhoneNumber')]
  await until(() => answer, 'the dialog')
  answer({ agreed: true, buttonId: 'agree' })
  assert.deepEqual(await Promise.all(waiting), [true, true])
  assert.deepEqual(asked, ['chooseAvatar'])
  const consents = () => kaimen.request({ path: '/api/user/export' }).then((all) => all.consents)
  await until(async () => (await consents()).length === 1, 'the consent')
  const [{ policy, version, accepted }] = await consents()
  assert.deepEqual([policy, version, accepted], ['privacy', '2026-11', true])
})

test('a privacy dialog that is refused or breaks lets nothing through', async (t) => {
  const { kaimen, device } = await signedIn(t)
  let ask = () => ({ agreed: false })
  kaimen.onNeedPrivacyAuthorization(() => ask())
  assert.equal(await device.needPrivacy('x'), false)
  ask = () => {
    throw new Error('the page is gone')
  }
  assert.equal(await device.needPrivacy('x'), false)
  ask = () => Promise.resolve({ agreed: true, buttonId: 'b' })
  assert.equal(await device.needPrivacy('x'), true)
})

test('the socket tells of changes and of the end of the session', async (t) => {
  const { kaimen, phone, device } = await signedIn(t)
  const heard = []
  kaimen.onSession((session, reason) => heard.push([session && session.user.nickname, reason]))
  kaimen.watch()
  const other = await start(t, { user: phone.user })
  await other.kaimen.autoLogin()
  await until(() => device.counts.sockets === 1)
  await until(async () => {
    await other.kaimen.updateProfile({ nickname: `Lin${heard.length}` })
    return heard.some(([, reason]) => reason === 'updated')
  }, 'the change')
  const { sessionId } = kaimen.session
  await other.kaimen.request({ path: `/api/sessions/${sessionId}`, method: 'DELETE' })
  await until(() => kaimen.session === null, 'the end')
  assert.deepEqual(heard[heard.length - 1], [null, 'ended'])
  await until(() => device.sockets.size === 0)
})

test('the socket sleeps in the background, comes back, and ends with watch or logout', async (t) => {
  const { kaimen, device } = await signedIn(t)
  const end = kaimen.watch()
  await until(() => device.sockets.size === 1)
  device.hide()
  await until(() => device.sockets.size === 0)
  device.show()
  await until(() => device.sockets.size === 1)
  end()
  await until(() => device.sockets.size === 0)
  device.show()
  assert.equal(device.sockets.size, 0)
  kaimen.watch()
  await until(() => device.sockets.size === 1)
  await kaimen.logout()
  await until(() => device.sockets.size === 0)
  await kaimen.login()
  await until(() => device.sockets.size === 1)
})

test('a socket that breaks is opened again', async (t) => {
  const { kaimen, device } = await signedIn(t)
  kaimen.watch()
  await until(() => device.sockets.size === 1)
  device.sockets.forEach((socket) => socket.terminate())
  await until(() => device.counts.sockets === 2 && device.sockets.size === 1, 'another socket')
})

test('a socket with an expired token gets a new one', async (t) => {
  const { kaimen, device, gate } = await signedIn(t)
  const token = await kaimen.getAccessToken()
  await kaimen.refresh()
  assert.notEqual(await kaimen.getAccessToken(), token)
  await advance(931)
  kaimen.watch()
  await until(() => gate.refreshes() === 2, 'the refresh')
  await until(() => device.counts.sockets >= 2 && device.sockets.size === 1, 'another socket')
})
