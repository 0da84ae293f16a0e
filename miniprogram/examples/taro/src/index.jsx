import { useEffect, useState } from 'react'
import { Button, Image, Text, View } from '@tarojs/components'
import { kaimen } from './kaimen'

export default function Index() {
  const [user, setUser] = useState(null)
  const [message, setMessage] = useState('')
  const tell = (error) => setMessage(error.message)

  useEffect(() => {
    const end = kaimen.onSession((session) => setUser(session && session.user))
    kaimen.autoLogin().catch(tell)
    return end
  }, [])

  if (!user) {
    return (
      <View>
        <Button onClick={() => kaimen.login().catch(tell)}>微信登录</Button>
        <Text>{message}</Text>
      </View>
    )
  }
  return (
    <View>
      <Button openType="chooseAvatar" onChooseAvatar={({ detail }) => kaimen.updateProfile({ avatar: detail.avatarUrl }).catch(tell)}>
        <Image src={user.avatarUrl} />
      </Button>
      <Text>{`${user.nickname} ${user.phone || ''}`}</Text>
      <Button openType="getPhoneNumber" onGetPhoneNumber={(event) => kaimen.bindPhone(event).catch(tell)}>绑定手机号</Button>
      <Button onClick={() => kaimen.logout().catch(tell)}>退出登录</Button>
      <Text>{message}</Text>
    </View>
  )
}
