import { readFile } from 'node:fs/promises'
import { AxeBuilder } from '@axe-core/playwright'
import { generateSync } from 'otplib'
import { giveCode, signIn, step } from './acts.ts'
import { expect, test } from './story.ts'
import { makePerson, makeWorkspace } from './world.ts'

const settings = { second_factor: 'required', remember_device_days: 30 } as const
/** What an authenticator shows now, or `ahead` seconds later: a code is good once. */
const codeOf = (secret: string, ahead = 0) => generateSync({ secret, epoch: Math.floor(Date.now() / 1000) + ahead })

for (const javaScriptEnabled of [true, false])
  test.describe(`with${javaScriptEnabled ? '' : 'out'} JavaScript`, () => {
    test.use({ javaScriptEnabled })

    test('someone sets up an authenticator, keeps the recovery codes, and is not asked again on this device', async ({
      page,
      lido,
      application,
      another,
    }) => {
      const workspace = await makeWorkspace(lido, { name: 'Strandbad' }, [{ name: 'Members', settings }])
      const app = await application({ workspace, name: 'Bathing huts' })
      const email = await makePerson(lido, workspace.pools[0])
      await page.goto(app.signIn())
      await signIn(page, email)
      await expect(step(page)).toHaveAttribute('data-step', 'enrol')
      await expect(page.getByRole('img', { name: 'Picture for your authenticator app' })).toBeVisible()
      const secret = (await page.locator('.secret').innerText()).replaceAll(' ', '')
      await expect(page.getByLabel('Code')).toBeFocused()
      await giveCode(page, '000000', 'Continue')
      await expect(page.getByRole('alert')).toHaveText('That code is not right. Check it and try again.')
      if (javaScriptEnabled) expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([])
      await giveCode(page, codeOf(secret, -30), 'Continue')

      await expect(step(page)).toHaveAttribute('data-step', 'recovery-codes')
      const codes = await page.getByRole('listitem').filter({ hasText: '-' }).allInnerTexts()
      expect(codes).toHaveLength(10)
      const downloading = page.waitForEvent('download')
      await page.getByRole('link', { name: 'Download as a text file' }).click()
      const file = await readFile(await (await downloading).path(), 'utf8')
      for (const code of codes) expect(file).toContain(code)
      if (javaScriptEnabled) expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([])
      await page.getByRole('button', { name: 'Continue' }).click()
      await expect(page.getByRole('heading')).toHaveText(`Bathing huts knows ${email}`)

      const phone = await (await another({ javaScriptEnabled })).newPage()
      await phone.goto(app.signIn())
      await signIn(phone, email)
      await phone.getByLabel('Do not ask on this device for 30 days').check()
      await giveCode(phone, codeOf(secret), 'Sign in')
      await expect(phone.getByRole('heading')).toHaveText(`Bathing huts knows ${email}`)
      await phone.goto(app.signIn({ prompt: 'login' }))
      await signIn(phone, email)
      await expect(phone.getByRole('heading')).toHaveText(`Bathing huts knows ${email}`)

      await page.goto(app.signIn({ prompt: 'login' }))
      await signIn(page, email)
      await page.getByRole('link', { name: 'Sign in another way' }).click()
      await page.getByRole('button', { name: 'Use a recovery code' }).click()
      await giveCode(page, codes[0] ?? '', 'Sign in')
      await expect(page.getByRole('heading')).toHaveText(`Bathing huts knows ${email}`)
    })
  })
