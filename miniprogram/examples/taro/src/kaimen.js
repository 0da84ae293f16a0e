// Taro (React, weapp): copy miniprogram/kaimen beside this file, or install kaimen-miniprogram from npm.
import Taro from '@tarojs/taro'
import { createKaimen } from 'kaimen-miniprogram'

export const kaimen = createKaimen({
  platform: Taro,
  baseUrl: {
    develop: 'http://127.0.0.1:8000',
    trial: 'https://login.example.com',
    release: 'https://login.example.com',
  },
})
