// uni-app (Vue 3, mp-weixin): copy miniprogram/kaimen beside this file, or install kaimen-miniprogram from npm.
import { createKaimen } from 'kaimen-miniprogram'

export const kaimen = createKaimen({
  platform: uni,
  baseUrl: {
    develop: 'http://127.0.0.1:8000',
    trial: 'https://login.example.com',
    release: 'https://login.example.com',
  },
})
