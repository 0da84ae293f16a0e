const NOT_SIGNED_IN = 4401
const PAUSE_MS = [1000, 2000, 5000, 15000, 60000]

/**
 * The session's socket: hears at once when the session ends elsewhere or the user changes. It sleeps while the app is
 * in the background, where WeChat cuts sockets anyway.
 */
export function createWatch({ platform, baseUrl }, session, fetchUser) {
  const url = `${baseUrl.replace(/^http/, 'ws')}/api/session/ws`
  let wanted = false
  let socket = null
  let failures = 0
  let timer = null
  let visible = true

  const on = {
    READY: () => {
      failures = 0
    },
    LOGGED_OUT: () => {
      close()
      session.drop('ended')
    },
    USER_UPDATED: () => fetchUser().catch(() => {}),
  }

  function hear(data) {
    let message = {}
    try {
      message = JSON.parse(data)
    } catch (error) {
      return // not of ours
    }
    if (on[message.type]) on[message.type](message)
  }

  function close() {
    clearTimeout(timer)
    const open = socket
    socket = null
    if (open) open.close({})
  }

  function later() {
    socket = null
    clearTimeout(timer)
    timer = setTimeout(open, PAUSE_MS[Math.min(failures, PAUSE_MS.length - 1)] * (0.75 + Math.random() / 2))
    failures += 1
  }

  async function open() {
    if (!wanted || !visible || socket || !session.current()) return
    socket = {} // taken; nobody else begins
    try {
      const token = await session.getAccessToken()
      join(await platform.connectSocket({ url, success() {}, fail() {} }), token)
    } catch (error) {
      later()
    }
  }

  function join(task, token) {
    if (!wanted || !visible) return task.close({})
    socket = task
    const mine = (work) => (event) => socket === task && work(event)
    task.onOpen(mine(() => task.send({ data: JSON.stringify({ type: 'AUTH', token }) })))
    task.onMessage(mine(({ data }) => hear(data)))
    task.onError(mine(() => later()))
    task.onClose(
      mine(({ code }) => {
        if (code === NOT_SIGNED_IN) session.refresh(token).catch(() => {})
        later()
      }),
    )
  }

  function show(isVisible) {
    visible = isVisible
    if (visible) open()
    else close()
  }

  if (platform.onAppShow) platform.onAppShow(() => show(true))
  if (platform.onAppHide) platform.onAppHide(() => show(false))
  session.onSession((view) => (view ? open() : close()))

  return () => {
    wanted = true
    open()
    return () => {
      wanted = false
      close()
    }
  }
}
