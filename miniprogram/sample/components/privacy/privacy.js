/** The privacy dialog: `ask()` shows it and gives { agreed, buttonId }, as onNeedPrivacyAuthorization wants it. */
Component({
  data: { shown: false },

  methods: {
    ask() {
      this.setData({ shown: true })
      return new Promise((resolve) => {
        this.answer = (given) => {
          this.setData({ shown: false })
          resolve(given)
        }
      })
    },

    agree() {
      this.answer({ agreed: true, buttonId: 'agree' })
    },

    refuse() {
      this.answer({ agreed: false })
    },

    read() {
      wx.openPrivacyContract({})
    },
  },
})
