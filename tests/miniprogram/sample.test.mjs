// The sample: that it opens as it is, and what its pages do against a live backend.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Gate, Phone, SIMULATOR, start, until } from './backend.mjs'
import { ROOT, launch, read, readJson, readTemplate } from './sample.mjs'

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)
const { pages } = readJson('app.json')
let number = 0

async function open(t, { user, prepare = () => {} } = {}) {
  const gate = await new Gate().start()
  const phone = new Phone({ simulator: SIMULATOR, user: user || `s${process.pid}n${(number += 1)}` })
  await phone.sim('users', { name: phone.user, nickname: 'Lin', phone: '13900000001' })
  await prepare(phone)
  const sample = await launch(phone, gate.url)
  t.after(() => {
    sample.device.kill()
    gate.stop()
  })
  const home = await sample.open('/pages/home/home')
  return { ...sample, sample, gate, phone, home, kaimen: sample.app.kaimen }
}

test('every page has its four files, and every file is reachable from app.json', () => {
  const parts = [...pages, 'components/privacy/privacy']
  for (const path of parts) {
    for (const kind of ['js', 'json', 'wxml', 'wxss']) assert.ok(existsSync(join(ROOT, `${path}.${kind}`)), `${path}.${kind}`)
  }
  for (const path of pages) {
    for (const where of Object.values(readJson(`${path}.json`).usingComponents || {})) assert.ok(existsSync(join(ROOT, `${where}.js`)))
    for (const [, url] of readTemplate(path).text.matchAll(/url="\/?([^"?]+)/g)) assert.ok(pages.includes(url), url)
  }
  const { setting, appid } = readJson('project.config.json')
  assert.deepEqual([appid, setting.urlCheck], ['touristappid', false])
  const theme = readJson('theme.json')
  for (const [, name] of read('app.json').matchAll(/"@(\w+)"/g)) assert.ok(theme.light[name] && theme.dark[name], name)
})

test('every handler and every name in a template exists in its page, and every tag is closed', async (t) => {
  const { sample } = await open(t)
  for (const path of [...pages, 'components/privacy/privacy']) {
    const { text, handlers, names } = readTemplate(path)
    const page = path.startsWith('pages') ? await sample.open(`/${path}`) : sample.stack[0].selectComponent('#privacy')
    for (const handler of handlers) assert.equal(typeof page[handler], 'function', `${path}: ${handler}`)
    for (const name of names) assert.ok(name in page.data || name === 'item', `${path}: ${name}`)
    const open = []
    for (const [, close, name, , self] of text.matchAll(/<(\/?)([a-z-]+)((?:\s+[\w:-]+(?:="[^"]*")?)*)\s*(\/?)>/g)) {
      if (close) assert.equal(open.pop(), name, path)
      else if (!self) open.push(name)
    }
    assert.deepEqual(open, [], path)
  }
})

test('no style has more than the rules of the design allow: colours are named, both themes have each', () => {
  const app = read('app.wxss')
  const [light, dark] = [...app.matchAll(/page \{([^}]*)\}/g)].map(([, body]) => [...body.matchAll(/(--[\w-]+):/g)].map(([, name]) => name))
  assert.deepEqual(light, dark)
  for (const path of [...pages, 'components/privacy/privacy']) {
    const style = read(`${path}.wxss`)
    assert.doesNotMatch(style, /#[0-9a-f]{3,8}\b/i, path)
    for (const [, name] of style.matchAll(/var\((--[\w-]+)\)/g)) assert.ok(light.includes(name), `${path}: ${name}`)
  }
})

test('the home page logs in by itself, logs out, and logs in by a tap', async (t) => {
  const { home, kaimen, sample } = await open(t)
  assert.deepEqual([home.data.state, home.data.user.id], ['in', kaimen.session.user.id])
  sample.choose = () => false
  await home.logOut()
  assert.equal(home.data.state, 'in')
  sample.choose = () => true
  await home.logOut()
  assert.deepEqual([home.data.state, home.data.user], ['out', null])
  await home.logIn()
  assert.equal(home.data.state, 'in')
})

test('in the developer tools, without an appid, every login brings a code of its own', async (t) => {
  const codes = []
  const { home, wx, gate } = await open(t)
  await home.logOut()
  wx.login = ({ success }) => success({ code: 'the code is a mock one' })
  gate.rules.push(({ path, body }) => void (path === '/api/auth' && codes.push(JSON.parse(body).code)))
  const { withDevtoolsCodes } = await import('../../miniprogram/sample/utils/devtools.js').then((all) => all.default)
  const platform = withDevtoolsCodes(wx)
  const code = () => new Promise((resolve) => platform.login({ success: (result) => resolve(result.code) }))
  const [one, two] = [await code(), await code()]
  assert.match(one, /^[A-Za-z0-9_-]{1,128}$/)
  assert.notEqual(one, two)
})

test('without a server the home page says so, and a tap later works', async (t) => {
  const { home, toasts, phone } = await open(t, { prepare: (phone) => (phone.online = false) })
  assert.equal(home.data.state, 'out')
  assert.deepEqual([...toasts], ['网络连接失败'])
  phone.online = true
  await home.logIn()
  assert.equal(home.data.state, 'in')
})

test('a password logs in, a wrong one is told, and none asks for one', async (t) => {
  const { home, kaimen, toasts } = await open(t)
  const username = `s${Date.now().toString(36)}`
  await kaimen.request({ path: '/api/user/password', method: 'POST', data: { username, newPassword: 'Open-Sesame-1' } })
  await home.logOut()
  home.togglePassword()
  await home.logInByPassword()
  const type = (field, value) => home.onInput({ currentTarget: { dataset: { field } }, detail: { value } })
  type('username', username)
  type('password', 'Wrong-Password-1')
  await home.logInByPassword()
  assert.deepEqual(toasts.slice(-2), ['请输入用户名和密码', '账号或密码错误'])
  type('password', 'Open-Sesame-1')
  await home.logInByPassword()
  assert.deepEqual([home.data.state, home.data.user.username, home.data.password], ['in', username, ''])
})

test('the phone button binds the phone; who refuses is left in peace', async (t) => {
  const { home, phone, toasts } = await open(t)
  await home.bindPhone({ detail: { errMsg: 'getPhoneNumber:fail user deny' } })
  assert.equal(toasts.length, 0)
  await home.bindPhone(await phone.tapPhone())
  assert.equal(home.data.user.phone, '139****0001')
})

test('the profile page changes avatar, nickname and e-mail, and home shows it', async (t) => {
  const { sample, home, phone, toasts } = await open(t)
  const profile = await sample.open('/pages/profile/profile')
  await profile.chooseAvatar({ detail: { avatarUrl: phone.addFile(PNG) } })
  assert.match(home.data.user.avatarUrl, /\/avatar\//)
  const type = (field, value) => profile.onInput({ currentTarget: { dataset: { field } }, detail: { value } })
  assert.equal(profile.data.changed, false)
  type('nickname', '林小满')
  assert.equal(profile.data.changed, true)
  await profile.save({ detail: { value: { nickname: ' 林小满 ', email: 'no address' } } })
  assert.equal(toasts[toasts.length - 1], '请求格式不正确')
  await profile.save({ detail: { value: { nickname: ' 林小满 ', email: 'lin@example.com' } } })
  assert.deepEqual([home.data.user.nickname, home.data.letter, profile.data.email], ['林小满', '林', 'lin@example.com'])
  await profile.save({ detail: { value: { nickname: '林小满', email: '' } } })
  assert.equal(profile.data.email, '')
})

test('the sessions page lists devices and ends others', async (t) => {
  const { sample, phone } = await open(t)
  const others = [await start(t, { user: phone.user }), await start(t, { user: phone.user }), await start(t, { user: phone.user })]
  for (const other of others) await other.kaimen.autoLogin()
  const page = await sample.open('/pages/sessions/sessions')
  assert.deepEqual([page.data.state, page.data.sessions.length, page.data.others], ['shown', 4, 3])
  assert.ok(page.data.sessions.some((one) => one.current && one.device.startsWith('WeChat') && one.seen === '刚刚'))
  const { id, device } = page.data.sessions.find((one) => !one.current)
  await page.end({ currentTarget: { dataset: { id, device } } })
  assert.equal(page.data.sessions.length, 3)
  await page.endOthers()
  assert.deepEqual([page.data.sessions.length, page.data.sessions[0].current], [1, true])
})

test('the sessions page without a server can be tried again', async (t) => {
  const { sample, phone } = await open(t)
  phone.online = false
  const page = await sample.open('/pages/sessions/sessions')
  assert.equal(page.data.state, 'failed')
  phone.online = true
  await page.load()
  assert.equal(page.data.state, 'shown')
})

test('the privacy dialog is shown on the page that is open, and its word is kept', async (t) => {
  const { home, device, kaimen } = await open(t)
  const waiting = device.needPrivacy('getPhoneNumber')
  const dialog = home.selectComponent('#privacy')
  await until(() => dialog.data.shown)
  dialog.agree()
  assert.equal(await waiting, true)
  assert.equal(dialog.data.shown, false)
  await until(async () => (await kaimen.request({ path: '/api/user/export' })).consents.length === 1)
  const refused = device.needPrivacy('chooseAvatar')
  await until(() => dialog.data.shown)
  dialog.refuse()
  assert.equal(await refused, false)
})

test('a session ended elsewhere shows at once', async (t) => {
  const { home, phone, kaimen } = await open(t)
  const other = await start(t, { user: phone.user })
  await other.kaimen.autoLogin()
  await until(async () => {
    await other.kaimen.updateProfile({ nickname: `Lin${Math.random()}` })
    return home.data.user.nickname
  }, 'the socket')
  await other.kaimen.request({ path: `/api/sessions/${kaimen.session.sessionId}`, method: 'DELETE' })
  await until(() => home.data.state === 'out', 'the end')
})

test('what is scanned opens the confirm page; what is no login code says so', async (t) => {
  const { home, sample, stack } = await open(t)
  home.scan()
  assert.equal(stack.length, 1)
  sample.scanned = { result: 'https://example.com/menu' }
  home.scan()
  await until(() => stack.length === 2)
  await stack[1].loaded
  assert.deepEqual([stack[1].data.state, stack[1].data.words], ['over', '这不是登录用的二维码。'])
  stack[1].leave()
  assert.equal(stack.length, 1)
})

const SCAN = { site: 'www.example.com', matchCode: '42', requestedAt: new Date().toISOString() }
const BROWSER = { name: 'Chrome 142', os: 'Windows', address: '203.0.113.7', region: '上海' }

/** A stand-in of the contract of QR login for what needs no browser: api.md, section 4. */
function scanRules(answers) {
  return ({ path, method }) => {
    const [, verb] = /^\/api\/scan\/[\w-]+\/(\w+)$/.exec(path) || []
    const answer = verb && method === 'POST' && answers[verb]
    if (!answer) return null
    const [status, body] = answer
    return { status, body: JSON.stringify(body) }
  }
}
const ok = (data) => [200, { code: 200, message: 'success', data }]
const refusal = (code, error, status) => [status, { code, error, message: error, data: null }]

test('the confirm page shows who asks, confirms, and cancels', async (t) => {
  const { sample, gate } = await open(t)
  const id = 'AbCdEfGhIjKlMnOpQrStUv'
  gate.rules.push(scanRules({ scan: ok({ state: 'scanned', browser: BROWSER, ...SCAN }), confirm: ok({}), cancel: ok({}) }))
  const page = await sample.open(`/pages/confirm/confirm?scene=${encodeURIComponent(id)}`)
  const { scan, where, age, state, numbers, chosen } = page.data
  assert.deepEqual([state, scan.site, scan.name, chosen], ['asked', 'www.example.com', 'Chrome 142 · Windows', ''])
  assert.deepEqual([new Set(numbers).size, numbers.includes('42')], [3, true])
  assert.deepEqual([where, age], ['上海 · 203.0.113.7', '刚刚'])
  const choose = (number) => page.choose({ currentTarget: { dataset: { number } } })
  choose(numbers.find((one) => one !== '42'))
  choose('42')
  await page.confirm()
  assert.equal(page.data.state, 'done')
  assert.equal(gate.seen.find((call) => call.path.endsWith('/confirm')).body, '{"matchCode":"42"}')
  const other = await sample.open(`/pages/confirm/confirm?q=${encodeURIComponent(`https://login.example.com/s/${id}`)}`)
  await other.cancel()
  assert.equal(other.data.state, 'cancelled')
  assert.equal(gate.count(`/api/scan/${id}/scan`), 2)
})

test('a scan that is over says which way', async (t) => {
  const { sample, gate } = await open(t)
  for (const [code, error, status] of [[4040, 'not_found', 404], [4100, 'scan_expired', 410], [4101, 'scan_redeemed', 410], [4102, 'scan_cancelled', 410], [4030, 'forbidden', 403]]) {
    gate.rules = [scanRules({ scan: refusal(code, error, status) })]
    const page = await sample.open('/pages/confirm/confirm?scene=AbCdEfGhIjKlMnOpQrStUv')
    assert.equal(page.data.state, 'over', error)
    assert.ok(page.data.words.length > 5)
  }
})

test('a wrong number may be tried again, and the third time is the last', async (t) => {
  const { sample, gate, toasts } = await open(t)
  const wrong = (attemptsLeft) => [403, { code: 4036, error: 'wrong_match_code', message: '', data: { attemptsLeft } }]
  gate.rules = [scanRules({ scan: ok({ state: 'scanned', browser: BROWSER, ...SCAN }), confirm: wrong(1) })]
  const page = await sample.open('/pages/confirm/confirm?scene=AbCdEfGhIjKlMnOpQrStUv')
  page.choose({ currentTarget: { dataset: { number: '41' } } })
  await page.confirm()
  assert.deepEqual([page.data.state, page.data.chosen, toasts[toasts.length - 1]], ['asked', '', '数字不一致，还可以试 1 次'])
  gate.rules = [scanRules({ confirm: wrong(0) })]
  await page.confirm()
  assert.equal(page.data.state, 'over')
})

test('a confirm page that cannot reach the server can be tried again', async (t) => {
  const { sample, gate, phone } = await open(t)
  gate.rules = [scanRules({ scan: ok({ state: 'scanned', browser: BROWSER, ...SCAN }), confirm: ok({}) })]
  phone.online = false
  const page = await sample.open('/pages/confirm/confirm?scene=AbCdEfGhIjKlMnOpQrStUv')
  assert.equal(page.data.state, 'failed')
  phone.online = true
  await page.retry()
  assert.equal(page.data.state, 'asked')
  phone.online = false
  await page.confirm()
  assert.equal(page.data.state, 'asked')
  phone.online = true
  await page.confirm()
  assert.equal(page.data.state, 'done')
})
