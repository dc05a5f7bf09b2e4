import { expect, test } from './story.ts'

const words = ['Very weak password', 'Weak password', 'Fair password', 'Good password', 'Strong password']

test('whoever chooses a password sees how strong it is, and nothing of it leaves the page', async ({ page, lido }) => {
  await page.goto(`${lido.url}/demo/login`)
  await page.getByRole('link', { name: 'Create an account' }).click()
  await page.getByLabel('Email').fill('ada.lovelace@example.org')
  const sent: string[] = []
  page.on('request', (request) => sent.push(request.url()))
  const said = page.locator('[aria-live="polite"]')
  const meter = page.locator('meter')
  await expect(meter).toBeHidden()
  const field = page.getByLabel('Password')
  for (const [typed, score] of [
    ['password1234', 0],
    ['lovelace.example', 0],
    ['kX9#vQ2!', 1],
    ['correct horse battery staple', 4],
  ] as const) {
    await field.fill('')
    await field.pressSequentially(typed)
    await expect(said).toHaveText(words[score] ?? '')
    await expect(meter).toBeVisible()
    await expect(meter).toHaveJSProperty('value', score + 1)
  }
  await field.fill('')
  await expect(meter).toBeHidden()
  await expect(said).toBeEmpty()
  expect(sent).toEqual([])
})

test('the words are those of the reader', async ({ another, lido }) => {
  const context = await another({ locale: 'de-CH' })
  const page = await context.newPage()
  await page.goto(`${lido.url}/demo/login`)
  await page.getByRole('link', { name: 'Konto erstellen' }).click()
  await page.getByLabel('Passwort').fill('Sommer2024!!')
  await expect(page.locator('[aria-live="polite"]')).toHaveText('Schwaches Passwort')
})
