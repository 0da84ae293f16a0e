// A web page's QR login, confirmed by the SDK and by the sample.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BACKEND, Gate, Phone, SIMULATOR, advance, failure, start } from './backend.mjs'
import { launch } from './sample.mjs'

const ORIGIN = 'http://kaimen.test' // of pages that may begin a login here
const LIFE_S = 121

async function call(path, { method = 'GET', body, headers = {} } = {}) {
  const sent = { Origin: ORIGIN, 'Content-Type': 'application/json', ...headers }
  const reply = await fetch(BACKEND + path, { method, headers: sent, body: body && JSON.stringify(body) })
  return (await reply.json()).data
}

/** The page: { scanId, qrContent, … }, what it shows by now, and whom it signs in. */
async function openPage() {
  const scan = await call('/api/scan', { method: 'POST', body: { channel: 'page' } })
  const headers = { 'X-Poll-Secret': scan.pollSecret }
  const look = () => call(`/api/scan/${scan.scanId}?wait=1&version=0`, { headers })
  const redeem = async () => {
    const { ticket } = await look()
    const body = { pollSecret: scan.pollSecret, ticket }
    return call(`/api/scan/${scan.scanId}/redeem`, { method: 'POST', body })
  }
  return { ...scan, look, redeem }
}

test('the phone sees who asks, confirms with the number, and the page is signed in as its user', async (t) => {
  const { kaimen } = await start(t)
  const { user } = await kaimen.autoLogin()
  const page = await openPage()
  const scan = await kaimen.confirmScan({ q: encodeURIComponent(page.qrContent) })
  assert.deepEqual([scan.id, scan.state, scan.matchCode], [page.scanId, 'scanned', page.matchCode])
  assert.ok(scan.site)
  assert.ok(scan.browser.address)
  assert.ok(Math.abs(Date.parse(scan.requestedAt) - Date.now()) < 2 * 86_400_000)
  assert.equal((await page.look()).state, 'scanned')
  await scan.confirm(page.matchCode)
  const login = await page.redeem()
  assert.equal(login.user.id, user.id)
})

test('somebody who was not logged in yet is, by the scan', async (t) => {
  const { kaimen, device } = await start(t)
  const page = await openPage()
  const scan = await kaimen.confirmScan(page.scanId)
  await scan.confirm(scan.matchCode)
  assert.equal((await page.redeem()).user.id, kaimen.session.user.id)
  assert.equal(device.counts.login, 1)
})

test('the phone cancels, and confirming is over', async (t) => {
  const { kaimen } = await start(t)
  const page = await openPage()
  const scan = await kaimen.confirmScan({ scene: page.scanId })
  await scan.cancel()
  assert.equal((await page.look()).state, 'cancelled')
  assert.equal((await failure(scan.confirm(scan.matchCode))).code, 4102)
})

test('wrong numbers, another phone, an unknown and an old code are refused by their codes', async (t) => {
  const { kaimen } = await start(t)
  const other = await start(t)
  const page = await openPage()
  const scan = await kaimen.confirmScan(page.scanId)
  const wrong = String((Number(page.matchCode) + 1) % 100).padStart(2, '0')
  const error = await failure(scan.confirm(wrong))
  assert.deepEqual([error.code, error.data.attemptsLeft], [4036, 2])
  assert.equal((await failure(other.kaimen.confirmScan(page.scanId))).code, 4030)
  assert.equal((await failure(kaimen.confirmScan('A'.repeat(page.scanId.length)))).code, 4040)
  await advance(LIFE_S)
  assert.equal((await failure(scan.confirm(page.matchCode))).code, 4100)
})

async function openSample(t, page) {
  const gate = await new Gate().start()
  const phone = new Phone({ simulator: SIMULATOR, user: `c${process.pid}n${page.scanId.slice(0, 6).replace(/\W/g, '')}` })
  await phone.sim('users', { name: phone.user, nickname: 'Lin' })
  const sample = await launch(phone, gate.url)
  t.after(() => (sample.device.kill(), gate.stop()))
  return sample.open(`/pages/confirm/confirm?q=${encodeURIComponent(page.qrContent)}`)
}

test('the confirm page of the sample signs the web page in, opened straight by the code', async (t) => {
  const page = await openPage()
  const confirm = await openSample(t, page)
  assert.equal(confirm.data.state, 'asked')
  const choose = (number) => confirm.choose({ currentTarget: { dataset: { number } } })
  choose(confirm.data.numbers.find((one) => one !== page.matchCode))
  await confirm.confirm()
  assert.equal(confirm.data.state, 'asked')
  choose(page.matchCode)
  await confirm.confirm()
  assert.equal(confirm.data.state, 'done')
  assert.ok((await page.redeem()).user.id)
})

test('the confirm page of the sample cancels, and says what is over', async (t) => {
  const page = await openPage()
  const confirm = await openSample(t, page)
  await confirm.cancel()
  assert.equal(confirm.data.state, 'cancelled')
  assert.equal((await page.look()).state, 'cancelled')
  const again = await openSample(t, page)
  assert.equal(again.data.state, 'over')
})
