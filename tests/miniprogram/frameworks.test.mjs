// uni-app and Taro: their ways of calling back, and the example of each as it stands.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import ts from 'typescript'
import { Gate, Phone, SIMULATOR, createWx, until } from './backend.mjs'
import * as sdk from '../../miniprogram/kaimen/index.mjs'

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)

/** uni: a promise unless a callback is given, and it wants to know whose login. */
function asUni(wx) {
  const login = (options) => {
    assert.equal(options.provider, 'weixin')
    return wx.login(options)
  }
  return { ...wx, login }
}

/** Taro: always a promise, beside the callbacks; sockets come by promise, too. */
function asTaro(wx) {
  const both = (name) => (options = {}) => {
    let native
    const promise = new Promise((resolve, reject) => {
      const success = (result) => (options.success && options.success(result), resolve(result))
      const fail = (failure) => (options.fail && options.fail(failure), reject(failure))
      native = wx[name]({ ...options, success, fail })
    })
    promise.abort = () => native.abort()
    return promise
  }
  const connectSocket = async (options) => wx.connectSocket(options)
  return { ...wx, login: both('login'), request: both('request'), checkSession: both('checkSession'), connectSocket }
}

/** The example's kaimen.js with what it imports. */
function runExample(name, globals, baseUrl) {
  const text = readFileSync(new URL(`../../miniprogram/examples/${name}/src/kaimen.js`, import.meta.url), 'utf8')
  const code = text.replace(/^import .*$/gm, '').replace('export const', 'const').replace('http://127.0.0.1:8000', baseUrl)
  return new Function(...Object.keys(globals), `${code}; return kaimen`)(...Object.values(globals))
}

const FRAMEWORKS = { 'uni-app': (wx) => ({ uni: asUni(wx) }), taro: (wx) => ({ Taro: asTaro(wx) }) }

for (const [name, globals] of Object.entries(FRAMEWORKS)) {
  test(`the example of ${name} logs in, refreshes, uploads, decrypts, fails and hears`, async (t) => {
    const gate = await new Gate().start()
    const phone = new Phone({ simulator: SIMULATOR, user: `f${process.pid}${name.replace('-', '')}` })
    await phone.sim('users', { name: phone.user, nickname: 'Lin', phone: '13900000001' })
    const { wx, device } = createWx(phone)
    t.after(() => (device.kill(), gate.stop()))
    const unhandled = []
    const note = (error) => unhandled.push(error)
    process.on('unhandledRejection', note)
    t.after(() => process.off('unhandledRejection', note))

    const kaimen = runExample(name, { ...globals(wx), createKaimen: sdk.createKaimen }, gate.url)
    await kaimen.autoLogin()
    await kaimen.refresh()
    const user = await kaimen.updateProfile({ nickname: '林', avatar: phone.addFile(PNG) })
    assert.match(user.avatarUrl, /\/avatar\//)
    assert.equal(await kaimen.bindPhone(await phone.tapPhone()), '139****0001')
    phone.sessionValid = false
    assert.match((await kaimen.decrypt(() => wx.getGroupEnterInfo())).openGId, /^t/)
    const end = kaimen.watch()
    await until(() => device.sockets.size === 1)
    end()
    await until(() => device.sockets.size === 0)
    const call = kaimen.request({ path: '/api/user/info' })
    call.abort()
    await assert.rejects(call, { error: 'aborted' })
    phone.online = false
    await assert.rejects(kaimen.request({ path: '/api/user/info' }), { error: 'network_error' })
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(unhandled, [])
  })
}

test('the pages of the examples are well-formed, and call what the SDK has', () => {
  const read = (path) => readFileSync(new URL(`../../miniprogram/examples/${path}`, import.meta.url), 'utf8')
  const vue = read('uni-app/src/index.vue')
  const script = /<script setup>([^]*?)<\/script>/.exec(vue)[1]
  const sources = { 'index.js': script, 'index.jsx': read('taro/src/index.jsx') }
  for (const [fileName, text] of Object.entries(sources)) {
    const compilerOptions = { jsx: ts.JsxEmit.Preserve, allowJs: true }
    const { diagnostics } = ts.transpileModule(text, { fileName, reportDiagnostics: true, compilerOptions })
    assert.deepEqual(diagnostics.map((one) => one.messageText), [], fileName)
  }
  const api = readFileSync(new URL('../../miniprogram/kaimen/index.d.ts', import.meta.url), 'utf8')
  const called = [...`${vue}${sources['index.jsx']}`.matchAll(/\bkaimen\.(\w+)\(/g)].map(([, name]) => name)
  assert.ok(called.length >= 10)
  for (const name of called) assert.match(api, new RegExp(`^  ${name}[<(]`, 'm'), name)
  for (const [, handler] of vue.matchAll(/@\w+="(\w+)"/g)) assert.match(script, new RegExp(`\\b${handler} =`), handler)
})
