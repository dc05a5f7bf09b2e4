import type { Feature } from './feature.ts'

/** OpenID Connect RP-Initiated Logout 1.0. */
export const logout: Feature = ({ workspace, pages }) => ({
  rpInitiatedLogout: {
    enabled: true,
    logoutSource: async (ctx, form) => {
      const [, action = '', xsrf = ''] = form.match(/action="([^"]*)".*name="xsrf" value="([^"]*)"/) ?? []
      await pages.logout(ctx, workspace, { action, xsrf })
    },
    postLogoutSuccessSource: (ctx) => pages.loggedOut(ctx, workspace),
  },
})
