import { endSession, isMeant } from '../logout.ts'
import type { Feature } from './feature.ts'

/** OpenID Connect RP-Initiated Logout 1.0 and Back-Channel Logout 1.0. */
export const logout: Feature = ({ workspace, pages }) => ({
  backchannelLogout: { enabled: true },
  rpInitiatedLogout: {
    enabled: true,
    logoutSource: async (ctx, form) => {
      if (isMeant(workspace, ctx)) return endSession(ctx)
      const [, action = '', xsrf = ''] = form.match(/action="([^"]*)".*name="xsrf" value="([^"]*)"/) ?? []
      await pages.logout(ctx, workspace, { action, xsrf })
    },
    postLogoutSuccessSource: (ctx) => pages.loggedOut(ctx, workspace),
  },
})
