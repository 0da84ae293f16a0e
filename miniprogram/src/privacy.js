import { must } from './errors.js'
import { quiet } from './transport.js'

const NAME = 'onNeedPrivacyAuthorization'

/**
 * WeChat holds back a call that needs the privacy consent and asks the mini-program to get it. `ask({ referrer })`
 * shows the dialog and gives `{ agreed, buttonId }`; all calls that wait meanwhile get the one answer.
 */
export function createPrivacy(platform, post) {
  return (ask, policy) => {
    must(typeof ask === 'function', NAME)
    must(!policy || (policy.policy && policy.version), NAME)
    if (!platform[NAME]) return // older WeChat asks by itself
    let waiting = []

    /** @param {any} given */
    function answer({ agreed, buttonId }) {
      const event = agreed ? 'agree' : 'disagree'
      waiting.forEach((resolve) => resolve({ event, buttonId }))
      waiting = []
      if (policy) quiet(post('/api/user/consent', { ...policy, accepted: !!agreed }))
    }

    platform[NAME]((resolve, info) => {
      if (waiting.push(resolve) > 1) return
      resolve({ event: 'exposureAuthorization' })
      Promise.resolve(info)
        .then(ask)
        .then(answer)
        .catch(() => answer({}))
    })
  }
}
