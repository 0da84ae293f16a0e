// What the tests talk to: a backend and a simulator that pytest started, and a gate of our own in between.
import http from 'node:http'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { Phone, createWx } from './wx.mjs'

export { Phone, createWx }

export const { KAIMEN_TEST_BACKEND: BACKEND, KAIMEN_TEST_SIMULATOR: SIMULATOR, KAIMEN_TEST_CONTROL: CONTROL } = process.env
const { createKaimen } = createRequire(import.meta.url)('../../miniprogram/kaimen/index.js')

/** Moves the backend's clock. */
export async function advance(seconds) {
  await fetch(`${CONTROL}/advance?seconds=${seconds}`, { method: 'POST' })
}

/** Faults of WeChat, as the simulator knows them. */
export async function wechatFault(fault) {
  await fetch(`${SIMULATOR}/sim/faults`, { method: 'POST', body: JSON.stringify(fault) })
}

/**
 * A proxy that counts and breaks: `rules` are asked in turn, the first that answers something decides.
 * A rule gets { method, path, body } and gives nothing, or 'cut', 'hang', 'lose' (the backend answers, the reply is
 * lost), a promise to wait for first, or { status, body, headers }.
 */
export class Gate {
  constructor() {
    this.rules = []
    this.seen = []
    this.server = http.createServer((request, reply) => this.serve(request, reply))
    this.server.on('upgrade', (request, socket) => this.tunnel(request, socket))
  }

  async start() {
    this.server.listen(0, '127.0.0.1')
    await once(this.server, 'listening')
    this.url = `http://127.0.0.1:${this.server.address().port}`
    return this
  }

  stop() {
    this.server.close()
    this.server.closeAllConnections()
  }

  count(path, test = () => true) {
    return this.seen.filter((call) => call.path.split('?')[0] === path && test(call)).length
  }

  refreshes() {
    return this.count('/api/auth', (call) => call.body.includes('"autoLogin"'))
  }

  logins() {
    return this.count('/api/auth', (call) => call.body.includes('"login"'))
  }

  async serve(request, reply) {
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    const bytes = Buffer.concat(chunks)
    const call = { method: request.method, path: request.url, body: bytes.toString('latin1'), headers: request.headers }
    this.seen.push(call)
    let verdict = null
    for (const rule of this.rules) {
      verdict = verdict || (await rule(call)) || null
    }
    if (verdict === 'hang') return
    if (verdict === 'cut') return request.socket.destroy()
    if (verdict && verdict !== 'lose') return reply.writeHead(verdict.status, verdict.headers || {}).end(verdict.body)
    const answer = await this.forward(request, bytes)
    if (verdict === 'lose') return request.socket.destroy()
    reply.writeHead(answer.statusCode, answer.rawHeaders).end(answer.bytes)
  }

  forward(request, bytes) {
    return new Promise((resolve, reject) => {
      const options = { method: request.method, headers: request.headers, agent: false }
      const onward = http.request(BACKEND + request.url, options, async (answer) => {
        const chunks = []
        for await (const chunk of answer) chunks.push(chunk)
        resolve({ statusCode: answer.statusCode, rawHeaders: answer.rawHeaders, bytes: Buffer.concat(chunks) })
      })
      onward.on('error', reject)
      onward.end(bytes)
    })
  }

  tunnel(request, socket) {
    const onward = http.request(BACKEND + request.url, { headers: request.headers, agent: false })
    onward.on('upgrade', (answer, far) => {
      const lines = answer.rawHeaders.reduce((text, word, at) => text + (at % 2 ? `: ${word}\r\n` : word), '')
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines}\r\n`)
      far.pipe(socket).pipe(far)
      const end = () => (far.destroy(), socket.destroy())
      for (const one of [far, socket]) one.on('error', end).on('close', end)
    })
    onward.on('error', () => socket.destroy())
    onward.end()
  }
}

/** A rule that strikes the next `times` calls of that path. */
export function strike(path, verdict, times = 1) {
  return (call) => {
    if (call.path !== path || !times) return null
    times -= 1
    return verdict
  }
}

let number = 0

/** A phone with the app started: { kaimen, wx, phone, device, gate, restart }. Everything ends with the test `t`. */
export async function start(t, { user, ...options } = {}) {
  const gate = await new Gate().start()
  t.after(() => gate.stop())
  const phone = new Phone({ simulator: SIMULATOR, user: user || `u${process.pid}n${(number += 1)}` })
  await phone.sim('users', { name: phone.user, nickname: 'Lin', phone: '13900000001' })
  const app = { gate, phone, warnings: [] }
  app.restart = (more = {}) => {
    if (app.device) app.device.kill()
    Object.assign(app, createWx(phone))
    const onWarning = (warning) => app.warnings.push(warning)
    app.kaimen = createKaimen({ baseUrl: gate.url, platform: app.wx, onWarning, ...options, ...more })
    return app
  }
  t.after(() => app.device.kill())
  return app.restart()
}

/** The error a promise is rejected with. */
export async function failure(promise) {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error) => ({ error }),
  )
  if (!outcome.error) throw new Error(`was not refused, gave ${JSON.stringify(outcome.value)}`)
  return outcome.error
}

/** Waits until `holds()`; for what happens on its own. */
export async function until(holds, what = 'it') {
  for (let tries = 0; !(await holds()); tries += 1) {
    if (tries > 500) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
