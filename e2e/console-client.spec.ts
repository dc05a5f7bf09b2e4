import { giveCode } from './acts.ts'
import { expect, fact, fill, follow, heading, press, test } from './operator.ts'
import { fresh, freshEmail, password } from './world.ts'

for (const javaScriptEnabled of [true, false]) {
  test.describe(javaScriptEnabled ? 'with JavaScript' : 'without JavaScript', () => {
    test.use({ javaScriptEnabled })

    test('an operator makes a pool and a client, and people sign in to it with what the console told', async ({
      operator,
      page,
      lido,
      newApplication,
    }) => {
      const app = await newApplication('Bathing huts')
      const [pool, workspace, email] = [fresh('guests'), fresh('lindau'), freshEmail()]
      await operator.goto(`${lido.url}/console`)
      await follow(operator, 'Pools', 'New pool')
      await fill(operator, { Name: 'Guests', Slug: pool })
      await operator.getByLabel('People may register by themselves').check()
      await press(operator, 'Save')
      await expect(operator.getByRole('status')).toHaveText('The pool was made.')

      await follow(operator, 'Workspaces', 'New workspace')
      await fill(operator, { Name: 'Strandbad Lindau', Slug: workspace })
      await press(operator, 'Save')
      await expect(heading(operator)).toHaveText('Strandbad Lindau')
      const issuer = await fact(operator, 'Issuer')

      await follow(operator, 'Connections', 'New connection')
      await operator.getByLabel('Pool', { exact: true }).selectOption(pool)
      await press(operator, 'Save')
      await expect(operator.getByRole('status')).toHaveText('The connection was made.')

      await follow(operator, 'Strandbad Lindau', 'Clients', 'New client')
      await fill(operator, { Name: 'Bathing huts', 'Where people come back to': app.redirectUri })
      await operator.getByLabel('It is one of ours: people are not asked for consent').check()
      await press(operator, 'Save')
      await expect(operator.getByRole('heading', { name: 'Copy the secret now' })).toBeVisible()
      const [id, secret] = [await fact(operator, 'Client ID'), await fact(operator, 'Secret')]
      await follow(operator, 'I have copied it')
      await expect(heading(operator)).toHaveText('Bathing huts')
      expect(await operator.content()).not.toContain(secret)

      await app.configure({ issuer, id, secret })
      await page.goto(app.signIn())
      await page.getByRole('link', { name: 'Create an account' }).click()
      await fill(page, { Email: email, Password: password })
      await press(page, 'Create account')
      await giveCode(page, (await lido.message(email)).code, 'Continue')
      await expect(page.getByRole('heading')).toHaveText(`Bathing huts knows ${email}`)

      await follow(operator, 'Pools', 'Guests', 'Users')
      await expect(operator.getByRole('row', { name: email })).toContainText('active')
    })
  })
}
