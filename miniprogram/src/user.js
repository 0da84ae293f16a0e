import { isObject, must, mustHaveOnly, wxError } from './errors.js'
import { promised } from './transport.js'

const AVATAR_MAX = 512 * 1024
/** @type {[string, RegExp][]} */
const IMAGES = [
  ['image/png', /^\x89PNG/],
  ['image/jpeg', /^\xff\xd8\xff/],
  ['image/webp', /^RIFF[^]{4}WEBP/],
]

/** What the signed-in user does with their own data. */
export function createUserCalls({ platform, appid }, session, request, post) {
  const named = (fields) => ({ ...fields, ...(appid && { appid }) })
  const isStale = (error) => error.code === 4003 && error.data && error.data.reason === 'stale_session_key'

  async function bindPhone(event) {
    const detail = isObject(event) && (event.detail || event)
    must(detail, 'bindPhone')
    const { code, encryptedData, iv } = detail
    if (!code && !encryptedData) throw wxError(detail.errMsg ? detail : 'user deny')
    try {
      const { phone } = await post('/api/user/phone', named(code ? { code } : { encryptedData, iv }))
      session.update({ phone })
      return phone
    } catch (error) {
      if (isStale(error)) await session.login() // only the user can fetch the number again: now it will work
      throw error
    }
  }

  /** checkSession → login → fetch → send; once more when the server's session_key was another. */
  async function decrypt(fetch) {
    must(typeof fetch === 'function', 'decrypt')
    const attempt = async () => {
      const { encryptedData, iv, rawData, signature } = (await fetch()) || {}
      must(encryptedData && iv, 'decrypt.encryptedData')
      return post('/api/user/decrypt', named({ encryptedData, iv, ...(rawData && { rawData, signature }) }))
    }
    const check = promised(platform, 'checkSession').then(session.current)
    if (!(await check.catch(() => null))) await session.login()
    try {
      return await attempt()
    } catch (error) {
      if (!isStale(error)) throw error
      await session.login()
      return attempt()
    }
  }

  const readFile = async (filePath) => (await promised(platform.getFileSystemManager(), 'readFile', { filePath })).data

  async function readImage(src) {
    const bytes = await readFile(src)
    if (bytes.byteLength <= AVATAR_MAX || !platform.compressImage) return bytes
    const smaller = await promised(platform, 'compressImage', { src, quality: 60, compressedWidth: 640 })
    return readFile(smaller.tempFilePath)
  }

  /** wx.request sends an ArrayBuffer as it is, so no multipart is needed. */
  async function uploadAvatar(filePath) {
    const bytes = await readImage(filePath)
    const head = String.fromCharCode(...new Uint8Array(bytes.slice(0, 12)))
    const [type] = IMAGES.find(([, pattern]) => pattern.test(head)) || []
    must(type, 'updateProfile.avatar: PNG, JPEG or WebP')
    return session.update(await post('/api/user/avatar', bytes, { header: { 'content-type': type } }))
  }

  async function updateProfile(changes) {
    mustHaveOnly('updateProfile', changes, ['avatar', 'nickname', 'email'])
    const { avatar, ...data } = changes
    const others = Object.keys(data).length
    must(others || avatar, 'updateProfile')
    must(!avatar || typeof avatar === 'string', 'updateProfile.avatar')
    if (others) session.update(await request({ path: '/api/user/info', method: 'PUT', data }))
    return avatar ? uploadAvatar(avatar) : session.view().user
  }

  return {
    bindPhone,
    decrypt,
    updateProfile,
    fetchUser: async () => session.update(await request({ path: '/api/user/info' })),
  }
}
