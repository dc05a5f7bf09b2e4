import { AxeBuilder } from '@axe-core/playwright'
import type { Page } from '@playwright/test'
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

const assertSound = async (page: Page): Promise<void> => {
  const { violations } = await new AxeBuilder({ page }).setLegacyMode().analyze()
  expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([])
}

test.describe('a browser that prefers Arabic', () => {
  test.use({ locale: 'ar-EG' })

  test('registers from right to left, the mail included, and types the code in its own digits', async ({
    page,
    lido,
  }) => {
    const email = freshEmail()
    await page.goto(`${lido.url}/demo/login`)
    await expect(page.locator('html')).toHaveAttribute('dir', 'rtl')
    await expect(page).toHaveTitle('تسجيل الدخول – Lido Demo')
    await assertSound(page)
    await page.getByRole('link', { name: 'إنشاء حساب' }).click()
    await page.getByLabel('البريد الإلكتروني').fill(email)
    await page.getByLabel('كلمة المرور').fill('قصيرة')
    await page.getByRole('button', { name: 'إنشاء حساب' }).click()
    await expect(page.getByRole('alert')).toContainText('يُرجى التحقق من هذه الحقول')
    await assertSound(page)
    await page.getByLabel('Given name').fill('سلمى')
    await page.getByLabel('كلمة المرور').fill(password)
    await page.getByRole('button', { name: 'إنشاء حساب' }).click()
    const mail = await lido.message(email)
    expect(mail.subject).toBe('رمزك لإنشاء حساب لدى \u2068Lido Demo\u2069')
    expect(mail.html).toContain('<html lang="ar" dir="rtl">')
    await expect(page.locator('main strong')).toHaveCSS('direction', 'ltr')
    await expect(page.getByLabel('الرمز')).toHaveCSS('direction', 'ltr')
    const digits = mail.code.replace(/\d/g, (digit) => String.fromCharCode(0x660 + Number(digit)))
    await page.getByLabel('الرمز').fill(digits)
    await page.getByRole('button', { name: 'متابعة' }).click()
    await expect(page.getByRole('heading')).toHaveText('تم تسجيل دخولك')
    await assertSound(page)
  })
})

test.describe('a browser that prefers Japanese', () => {
  test.use({ locale: 'ja-JP' })

  test('registers in Japanese, the mail included, and types the code in full-width digits', async ({ page, lido }) => {
    const email = freshEmail()
    await page.goto(`${lido.url}/demo/login`)
    await expect(page.locator('html')).toHaveAttribute('lang', 'ja')
    await expect(page).toHaveTitle('サインイン – Lido Demo')
    await assertSound(page)
    await page.getByRole('link', { name: 'アカウントを作成' }).click()
    await page.getByLabel('メールアドレス').fill(email)
    await page.getByLabel('Given name').fill('花子')
    await page.getByLabel('パスワード').fill(password)
    await assertSound(page)
    await page.getByRole('button', { name: 'アカウントを作成' }).click()
    const mail = await lido.message(email)
    expect(mail.subject).toBe('Lido Demo のアカウント作成用コード')
    await page
      .getByLabel('コード')
      .fill(mail.code.replace(/\d/g, (digit) => String.fromCharCode(0xff10 + Number(digit))))
    await assertSound(page)
    await page.getByRole('button', { name: '続ける' }).click()
    await expect(page.getByRole('heading')).toHaveText('サインインしました')
  })
})
