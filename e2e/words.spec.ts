import type { Page } from '@playwright/test'
import { generateSync } from 'otplib'
import { languages } from '../src/platform/words.ts'
import { picture } from './acts.ts'
import { plugIn } from './authenticator.ts'
import { violationsOf } from './axe.ts'
import { expect, test } from './story.ts'
import { freshEmail, makePerson, makeWorkspace, password } from './world.ts'

/** Pages in whatever language, walked by what no language changes. */
const enter = async (page: Page, values: Record<string, string>): Promise<void> => {
  for (const [name, value] of Object.entries(values)) await page.locator(`[name="${name}"]:visible`).fill(value)
  await page.locator('.button-primary:visible').click()
}
const follow = (page: Page, query: string) => page.locator(`.links a[href*="${query}"]`).click()
const choose = (page: Page, method: string) => page.locator(`button[value="${method}"]`).click()
const atStep = (page: Page, name: string) => expect(page.locator('main[data-step]')).toHaveAttribute('data-step', name)

/** The page has to fit the narrowest phone, in its language and direction, with nothing for axe to find. */
const check = async (page: Page, lang: string, name: string): Promise<void> => {
  await page.emulateMedia({ reducedMotion: 'reduce' })
  for (const width of [1280, 320]) {
    await page.setViewportSize({ width, height: 800 })
    await picture(page, `${name}-${width}`)
    expect(await page.evaluate('document.documentElement.scrollWidth'), `${name}, ${width} px`).toBe(width)
  }
  await expect(page.locator('html')).toHaveAttribute('lang', lang)
  await expect(page.locator('html')).toHaveAttribute('dir', lang === 'ar' ? 'rtl' : 'ltr')
  // What axe looks at differs by direction and script, not from one European language to the next.
  if (lang !== 'ar' && lang !== 'ja') return
  expect(await violationsOf(page), name).toEqual([])
}

const accountPages = ['account']
  .concat('account/profile', 'account/identifiers', 'account/password', 'account/factors', 'account/sessions')
  .concat('account/applications', 'account/activity', 'account/data', 'account/data/delete')

for (const lang of languages)
  test.describe(`in ${lang}`, () => {
    test.use({ locale: lang, actionTimeout: 10_000 })

    // English is what the other stories speak; of two languages with words of like length, each tells one half.
    if (lang !== 'en' && lang !== 'es')
      test('every step of registering and recovering fits', async ({ page, lido, application }) => {
        test.slow()
        const settings = { self_registration: true, identifiers: ['email' as const, 'mobile' as const] }
        const workspace = await makeWorkspace(lido, { name: 'Strandbad Lindau' }, [
          { name: 'Guests', description: 'Everyone who books a hut or a boat', settings },
          { name: 'Members of the bathing club' },
        ])
        const app = await application({ workspace, name: 'Bathing Hut Bookings', metadata: { first_party: false } })
        await page.goto(app.signIn({ scope: 'openid profile email phone offline_access', prompt: 'consent' }))
        await check(page, lang, 'choose')
        await page.locator('.choice').first().click()
        await follow(page, 'view=register')
        await enter(page, { identifier: '', password: 'short' })
        await check(page, lang, 'register-wrong')
        const email = freshEmail()
        await enter(page, { identifier: email, password })
        await atStep(page, 'verify')
        await enter(page, { code: '000000' })
        await check(page, lang, 'verify-wrong')
        await enter(page, { code: (await lido.message(email)).code })
        await check(page, lang, 'consent')
        await page.goto(`${lido.url}/w/${workspace.slug}/recover`)
        await check(page, lang, 'recover')
        await enter(page, { identifier: '+41 79 123 45 67' })
        await enter(page, { code: '000000' })
        await check(page, lang, 'recover-verify-wrong')
      })

    if (lang !== 'en' && lang !== 'fr')
      test('every step of signing in fits, with a second factor, and so does the account', async ({
        page,
        lido,
        application,
      }) => {
        test.slow()
        const factors = ['passkey' as const, 'totp' as const, 'recovery_code' as const]
        const methods = ['password' as const, 'email_code' as const, 'magic_link' as const, 'passkey' as const]
        const settings = {
          second_factor: 'required' as const,
          second_factors: factors,
          sign_in_methods: methods,
          remember_device_days: 30,
        }
        const workspace = await makeWorkspace(lido, { name: 'Strandbad Lindau' }, [{ name: 'Members', settings }])
        const app = await application({ workspace, name: 'Bathing Hut Bookings' })
        const email = await makePerson(lido, workspace.pools[0])
        await plugIn(page)
        await page.goto(app.signIn())
        await check(page, lang, 'identify')
        await enter(page, { identifier: email })
        await enter(page, { password: 'wrong wrong wrong' })
        await check(page, lang, 'password-wrong')
        await follow(page, 'view=another')
        await check(page, lang, 'methods')
        await choose(page, 'magic_link')
        await check(page, lang, 'magic-link')
        const device = await page.context().browser()?.newPage({ locale: lang })
        if (!device) throw new Error('There is no other device.')
        await device.goto((await lido.message(email)).link)
        await check(device, lang, 'magic-link-elsewhere')
        await device.close()
        await follow(page, 'view=another')
        await choose(page, 'email_code')
        await check(page, lang, 'code')
        await follow(page, 'view=another')
        await choose(page, 'password')
        await enter(page, { password })
        await check(page, lang, 'enrol')
        await choose(page, 'totp')
        await check(page, lang, 'enrol-totp')
        const secret = (await page.locator('.secret').innerText()).replaceAll(' ', '')
        await enter(page, { code: generateSync({ secret, epoch: Math.floor(Date.now() / 1000) }) })
        await atStep(page, 'recovery-codes')
        await check(page, lang, 'recovery-codes')
        await enter(page, {})
        await atStep(page, 'enrol')
        await check(page, lang, 'enrol-passkey')
        await enter(page, {})
        await expect(page.getByRole('heading')).toHaveText(`Bathing Hut Bookings knows ${email}`)
        for (const path of accountPages) {
          await page.goto(`${lido.url}/w/${workspace.slug}/${path}`)
          await atStep(page, 'account')
          await check(page, lang, path.replaceAll('/', '-'))
        }
        await page.goto(`${lido.url}/w/${workspace.slug}/logout`)
        await check(page, lang, 'logout')
        await page.locator('.button-primary').click()
        await page.goto(`${lido.url}/w/${workspace.slug}/authorize?client_id=nobody`)
        await check(page, lang, 'problem')
      })
  })
