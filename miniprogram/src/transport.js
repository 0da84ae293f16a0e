import { localError, wxError } from './errors.js'

const ignore = () => {}

/** A promise of a function that takes success and fail. */
export function promised(owner, name, options) {
  return new Promise((resolve, reject) => {
    if (!owner[name]) throw localError('wx_failed', `no ${name} here`)
    quiet(owner[name]({ ...options, success: resolve, fail: (failure) => reject(wxError(failure)) }))
  })
}

/** For promises whose failure is told elsewhere, such as those that Taro gives beside the callbacks. */
export function quiet(result) {
  if (result && result.catch) result.catch(ignore)
}

/** Lets at most `room` requests through at a time: WeChat refuses the eleventh. */
export function createQueue(room) {
  const waiting = []
  const next = () => {
    if (room && waiting.length) {
      room -= 1
      waiting.shift()()
    }
  }
  const leave = () => {
    room += 1
    next()
  }
  /** Runs `work` when there is room; `urgent` (tokens that others wait for) goes first. */
  return (work, urgent) =>
    new Promise((resolve) => {
      waiting[urgent ? 'unshift' : 'push'](resolve)
      next()
    })
      .then(work)
      .finally(leave)
}

/** One wx.request: the reply, or network_error, timeout, aborted. `task` is what abort() reaches it through. */
export function send(platform, request, task) {
  return new Promise((resolve, reject) => {
    if (task.aborted) throw localError('aborted')
    let native = null
    const stop = (error) => {
      reject(localError(error))
      if (native && native.abort) native.abort()
    }
    // Not every platform and library keeps to `timeout`.
    const timer = setTimeout(stop, request.timeout, 'timeout')
    const end = () => clearTimeout(timer)
    task.stop = () => {
      end()
      stop('aborted')
    }
    const success = (reply) => {
      end()
      resolve(reply)
    }
    const fail = (failure) => {
      end()
      reject(wxError(failure))
    }
    native = platform.request({ ...request, success, fail })
    quiet(native)
  })
}

/** A promise with abort(), which rejects it at once, wherever `work(task)` is by then. */
export function abortable(work) {
  const task = { aborted: false, stop: ignore }
  let refuse
  /** @type {any} */
  const promise = new Promise((resolve, reject) => {
    refuse = reject
    work(task).then(resolve, reject)
  })
  promise.abort = () => {
    task.aborted = true
    refuse(localError('aborted'))
    task.stop()
  }
  return promise
}
