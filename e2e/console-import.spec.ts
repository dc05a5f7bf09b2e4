import { hashSync } from '@node-rs/bcrypt'
import { signIn } from './acts.ts'
import { expect, fill, follow, heading, press, test } from './operator.ts'
import { fresh, makeWorkspace } from './world.ts'

const cheapest = 4

test('an operator tries an import of 1,000 users, runs it, and one of them signs in with the password they had', async ({
  operator,
  page,
  lido,
  application,
}) => {
  const workspace = await makeWorkspace(lido, { name: 'Strandbad' }, [{ name: fresh('Guests') }])
  const app = await application({ workspace, name: 'Tide times' })
  const address = (row: number) => `guest-${row}@example.org`
  const secret = (row: number) => `the old password ${row}`
  const rows = Array.from({ length: 1_000 }, (_, row) =>
    JSON.stringify({ 'E-Mail': address(row), email_verified: true, password_hash: hashSync(secret(row), cheapest) }),
  )
  const file = { name: 'guests.ndjson', mimeType: 'application/octet-stream', buffer: Buffer.from(rows.join('\n')) }
  const count = (name: string) => operator.locator('.counts > div').filter({ hasText: name }).getByRole('definition')

  await operator.goto(`${lido.url}/console/pools/${workspace.pools[0]?.slug}`)
  await follow(operator, 'Imports', 'New import')
  await expect(operator.getByLabel('Only try it: check every row, and change nothing')).toBeChecked()
  await operator.getByLabel('File', { exact: true }).setInputFiles(file)
  await press(operator, 'Import')
  await expect(operator.getByText('1000 of 1000 rows')).toBeVisible()
  await expect(operator.getByRole('link', { name: 'Run it for real' })).toBeVisible()
  await expect(count('Would fail')).toHaveText('1000')
  await expect(operator.getByRole('row', { name: /^1 / })).toContainText('E-Mail')

  await follow(operator, 'Imports', 'New import')
  await fill(operator, { 'Columns with other names': 'E-Mail = email' })
  await operator.getByLabel('File', { exact: true }).setInputFiles(file)
  await press(operator, 'Import')
  await expect(count('Would be made')).toHaveText('1000')
  await expect(count('Would fail')).toHaveText('0')
  await follow(operator, 'Users')
  await expect(operator.getByText('Nobody is in this pool yet.')).toBeVisible()
  await operator.goBack()

  await follow(operator, 'Run it for real')
  await expect(operator.getByLabel('Only try it: check every row, and change nothing')).not.toBeChecked()
  await fill(operator, { 'Columns with other names': 'E-Mail = email' })
  await operator.getByLabel('File', { exact: true }).setInputFiles(file)
  await press(operator, 'Import')
  await expect(heading(operator)).toHaveText('Import')
  await expect(count('Made')).toHaveText('1000')
  await expect(operator.getByText('This page looks again')).toHaveCount(0)
  await follow(operator, 'Users')
  await fill(operator, { Search: address(777) })
  await press(operator, 'Search')
  await expect(operator.getByRole('row', { name: address(777) })).toContainText('active')

  await page.goto(app.signIn())
  await signIn(page, address(777))
  await expect(page.getByRole('alert')).toBeVisible()
  await page.getByLabel('Password').fill(secret(777))
  await press(page, 'Sign in')
  await expect(heading(page)).toHaveText(`Tide times knows ${address(777)}`)
})
