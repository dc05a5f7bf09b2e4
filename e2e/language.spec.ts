import { expect, test } from './story.ts'
import { demoWorkspace, freshEmail, password } from './world.ts'

test.describe('a browser that prefers German', () => {
  test.use({ locale: 'de-CH', extraHTTPHeaders: { 'Accept-Language': 'de-CH,de;q=0.9,en;q=0.5' } })

  test('registers in German, the mail included', async ({ page, lido }) => {
    const email = freshEmail()
    await page.goto(`${lido.url}/demo/login`)
    await expect(page.locator('html')).toHaveAttribute('lang', 'de')
    await expect(page).toHaveTitle('Anmelden – Lido Demo')
    await page.getByRole('link', { name: 'Ein Konto erstellen' }).click()
    await page.getByLabel('E-Mail').fill(email)
    await page.getByLabel('Passwort').fill('kurz')
    await page.getByRole('button', { name: 'Konto erstellen' }).click()
    await expect(page.getByRole('alert')).toContainText('Bitte prüfen Sie diese Felder')
    await page.getByLabel('Given name').fill('Ada')
    await page.getByLabel('Passwort').fill(password)
    await page.getByRole('button', { name: 'Konto erstellen' }).click()
    const mail = await lido.message(email)
    expect(mail.subject).toBe('Ihr Code für ein Konto bei Lido Demo')
    await page.getByLabel('Code').fill(mail.code)
    await page.getByRole('button', { name: 'Weiter', exact: true }).click()
    await expect(page.getByRole('heading')).toHaveText('Sie sind angemeldet')
  })

  test('is told in German what went wrong', async ({ page, lido }) => {
    await page.goto(`${lido.url}/w/nowhere/authorize`)
    await expect(page.getByRole('heading')).toHaveText('Dieser Arbeitsbereich ist hier nicht bekannt')
  })

  test('speaks English where the application asks for it', async ({ page, lido, application }) => {
    const app = await application({ workspace: await demoWorkspace(lido), name: 'Bathing huts' })
    await page.goto(app.signIn({ ui_locales: 'en' }))
    await expect(page.locator('html')).toHaveAttribute('lang', 'en')
    await expect(page.getByRole('heading')).toHaveText('Sign in')
  })
})
