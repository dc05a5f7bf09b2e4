import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AxeBuilder } from '@axe-core/playwright'
import { decodeJwt, exportJWK, generateKeyPair, SignJWT } from 'jose'
import * as connections from '../src/directory/connections.ts'
import * as scripts from '../src/directory/scripts.ts'
import { signIn, step } from './acts.ts'
import { expect, test } from './story.ts'
import { makePerson, makeWorkspace } from './world.ts'

const by = { kind: 'system' } as const

/** Somebody's page between the sign-in and the application: terms to accept, or not. */
const openTerms = async () => {
  const { privateKey, publicKey } = await generateKeyPair('EdDSA')
  const back = async (token: string, said: object) => {
    const { iss = '', jti, return_to } = decodeJwt<{ return_to: string }>(token)
    const verdict = new SignJWT({ jti, ...said }).setProtectedHeader({ alg: 'EdDSA' }).setAudience(iss)
    return `${return_to}?verdict=${await verdict.setIssuedAt().setExpirationTime('5m').sign(privateKey)}`
  }
  const server = createServer(async (request, response) => {
    const { searchParams } = new URL(request.url ?? '/', 'http://localhost')
    const token = searchParams.get('token')
    if (!token) return response.writeHead(204).end()
    const [yes, no] = [await back(token, { verdict: 'continue' }), await back(token, { verdict: 'cancel' })]
    response.setHeader('Content-Type', 'text/html; charset=utf-8')
    response.end(
      `<!doctype html><link rel="icon" href="data:,"><h1>Terms</h1><a href="${yes}">I accept</a> <a href="${no}">Cancel</a>`,
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://localhost:${(server.address() as AddressInfo).port}/`
  const close = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return { url, public_key: { ...(await exportJWK(publicKey)) } as never, close }
}

for (const javaScriptEnabled of [true, false])
  test.describe(`with${javaScriptEnabled ? '' : 'out'} JavaScript`, () => {
    test.use({ javaScriptEnabled })

    test('someone accepts the terms on the operator’s own page, and someone else does not', async ({
      page,
      lido,
      application,
      another,
    }) => {
      const terms = await openTerms()
      const workspace = await makeWorkspace(lido, { name: 'Strandbad' }, [{ name: 'Members' }])
      const { db, clock } = lido.services
      const [connection] = await connections.list(db, workspace.id, { limit: 1, after: undefined, among: undefined })
      if (!connection) throw new Error('There is no connection.')
      const wanted = { url: terms.url, public_key: terms.public_key }
      const settings = { ...connections.settingsOf(connection), post_authentication_application: wanted }
      await connections.update(db, clock.now(), connection, settings, by)
      const app = await application({ workspace, name: 'Bathing huts' })
      const email = await makePerson(lido, workspace.pools[0])
      await page.goto(app.signIn())
      await signIn(page, email)
      await expect(page.getByRole('heading')).toHaveText('Terms')
      await page.reload()
      await page.getByRole('link', { name: 'I accept' }).click()
      await expect(page).toHaveURL((url) => url.searchParams.has('code'))

      const other = await (await another({ javaScriptEnabled })).newPage()
      await other.goto(app.signIn())
      await signIn(other, email)
      await other.getByRole('link', { name: 'Cancel' }).click()
      await expect(other).toHaveURL((url) => url.searchParams.get('error') === 'access_denied')
      await terms.close()
    })

    test('someone whom a script keeps out reads why, and goes back', async ({ page, lido, application }) => {
      const workspace = await makeWorkspace(lido, { name: 'Strandbad' }, [{ name: 'Members' }])
      const { db, clock } = lido.services
      const code = "const postAuthentication = () => ({ deny: { reason: 'The season begins in May.' } })"
      const script = await db
        .transaction()
        .execute((trx) => scripts.create(trx, clock.now(), workspace.id, { name: 'Season', code }, by))
      const [connection] = await connections.list(db, workspace.id, { limit: 1, after: undefined, among: undefined })
      if (!connection) throw new Error('There is no connection.')
      const settings = { ...connections.settingsOf(connection), post_authentication_script: script.id }
      await connections.update(db, clock.now(), connection, settings, by)
      const app = await application({ workspace, name: 'Bathing huts' })
      await page.goto(app.signIn())
      await signIn(page, await makePerson(lido, workspace.pools[0]))
      await expect(step(page)).toHaveAttribute('data-step', 'denied')
      await expect(page.getByRole('alert')).toContainText('The season begins in May.')
      if (javaScriptEnabled) expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([])
      await page.getByRole('button', { name: 'Back to the application' }).click()
      await expect(page).toHaveURL((url) => url.searchParams.get('error') === 'access_denied')
    })
  })
