const { createKaimen } = require('./kaimen/index')
const { baseUrl, policy } = require('./config')
const { withDevtoolsCodes } = require('./utils/devtools')

App({
  onLaunch() {
    const kaimen = createKaimen({ baseUrl, platform: withDevtoolsCodes(wx) })
    kaimen.onNeedPrivacyAuthorization((info) => this.askPrivacy(info), policy)
    kaimen.watch()
    this.kaimen = kaimen
    this.launched = kaimen.autoLogin().catch((error) => error)
  },

  /** The dialog of the page that is open: every page that needs one has it as #privacy. */
  askPrivacy(info) {
    const [page] = getCurrentPages().slice(-1)
    const dialog = page && page.selectComponent('#privacy')
    return dialog ? dialog.ask(info) : { agreed: false }
  },
})
