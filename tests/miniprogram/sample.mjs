// Runs the sample as WeChat does: app.json says which pages there are, each page and component is a script of its own.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import vm from 'node:vm'
import { createWx } from './wx.mjs'

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../../miniprogram/sample')
export const read = (path) => readFileSync(join(ROOT, path), 'utf8')
export const readJson = (path) => JSON.parse(read(path))

/** The app on a phone, started. `baseUrl` takes the place of that in config.js; `choose` answers dialogs. */
export async function launch(phone, baseUrl) {
  const { wx, device } = createWx(phone)
  const { pages: known } = readJson('app.json')
  const toasts = []
  const stack = []
  const sample = { wx, device, toasts, stack, choose: () => true, scanned: null }
  const context = vm.createContext({
    console, Promise, Date, Math, JSON, Object, Array, String, Number, RegExp, Error, setTimeout, clearTimeout,
    encodeURIComponent, decodeURIComponent, ArrayBuffer, Uint8Array,
    wx,
    App: (options) => (sample.app = options),
    Page: (options) => (sample.registered = options),
    Component: (options) => (sample.registered = options),
    getApp: () => sample.app,
    getCurrentPages: () => stack,
  })

  const modules = new Map()
  function load(path) {
    const file = existsSync(path) ? path : `${path}.js`
    if (modules.has(file)) return modules.get(file).exports
    const module = { exports: {} }
    modules.set(file, module)
    if (relative(ROOT, file) === 'config.js') {
      module.exports = { baseUrl, policy: { policy: 'privacy', version: '2026-11' } }
      return module.exports
    }
    if (relative(ROOT, file).startsWith('..')) throw new Error(`${file} is outside of the mini-program`)
    const code = `(function (require, module, exports) {${readFileSync(file, 'utf8')}\n})`
    const run = vm.runInContext(code, context, { filename: file })
    run((name) => load(resolve(dirname(file), name)), module, module.exports)
    return module.exports
  }

  /** A page or component made of what its script registered. */
  function make(path) {
    load(join(ROOT, path))
    const { data = {}, methods = {}, ...rest } = sample.registered
    modules.delete(join(ROOT, `${path}.js`))
    const made = { ...rest, ...methods, data: structuredClone(JSON.parse(JSON.stringify(data))), route: path }
    made.setData = (changes) => {
      for (const [name, value] of Object.entries(changes)) {
        if (value === undefined) throw new Error(`${path}: setData of undefined for ${name}`)
        made.data[name] = value === null ? null : JSON.parse(JSON.stringify(value))
      }
    }
    const components = Object.entries(readJson(`${path}.json`).usingComponents || {})
    const inside = Object.fromEntries(components.map(([name, where]) => [`#${name}`, make(where.replace(/^\//, ''))]))
    made.selectComponent = (selector) => inside[selector] || null
    return made
  }

  async function open(url, replace) {
    const [path, query = ''] = url.replace(/^\//, '').split('?')
    if (!known.includes(path)) throw new Error(`no page ${path} in app.json`)
    const page = make(path)
    if (replace) stack.splice(0).forEach((one) => one.onUnload && one.onUnload())
    stack.push(page)
    // As WeChat does: values stay encoded.
    page.loaded = Promise.resolve(page.onLoad && page.onLoad(Object.fromEntries(query.split('&').filter(Boolean).map((one) => one.split(/=(.*)/s).slice(0, 2)))))
    return page
  }

  Object.assign(wx, {
    showToast: ({ title }) => toasts.push(title),
    showLoading() {},
    hideLoading() {},
    stopPullDownRefresh() {},
    openPrivacyContract() {},
    showModal: ({ title, success }) => Promise.resolve(sample.choose(title)).then((confirm) => success({ confirm })),
    scanCode: ({ success, fail }) => (sample.scanned ? success(sample.scanned) : fail({ errMsg: 'scanCode:fail cancel' })),
    navigateTo: ({ url }) => open(url),
    reLaunch: ({ url }) => open(url, true),
    navigateBack: () => {
      const page = stack.pop()
      if (page.onUnload) page.onUnload()
    },
  })
  load(join(ROOT, 'app.js'))
  sample.app.onLaunch({})
  sample.open = async (url) => {
    const page = await open(url)
    await page.loaded
    return page
  }
  return sample
}

/** What a page's WXML binds and shows: { handlers, names }. */
export function readTemplate(path) {
  const text = read(`${path}.wxml`)
  const handlers = [...text.matchAll(/\b(?:bind|catch)[\w:]+="(\w+)"/g)].map(([, name]) => name)
  const expressions = [...text.matchAll(/\{\{(.*?)\}\}/g)].map(([, code]) => code)
  const words = expressions.flatMap((code) => code.replace(/'[^']*'/g, '').match(/(?<![.\w])[a-z]\w*/gi) || [])
  return { text, handlers, names: [...new Set(words)] }
}
