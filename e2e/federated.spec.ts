import { AxeBuilder } from '@axe-core/playwright'
import * as clients from '../src/directory/clients.ts'
import { poolUpstream } from '../src/directory/pool-upstream.ts'
import { findBySlug } from '../src/directory/workspaces.ts'
import type { TestLido } from '../src/testing.ts'
import { signIn } from './acts.ts'
import { expect, test } from './story.ts'
import { fresh, freshEmail, makePerson, makeWorkspace, type World } from './world.ts'

/** A company's own sign-in, and a workspace whose people may come from there besides its own. */
const makeCompany = async (lido: TestLido) => {
  const company = await makeWorkspace(lido, { name: 'Company' }, [
    { name: 'Employees', settings: { sign_in_methods: ['password'] } },
  ])
  const clientId = fresh('lido')
  const upstream = poolUpstream.parse({
    type: 'oidc',
    linking: 'account',
    settings: { issuer: `${lido.url}/w/${company.slug}`, client_id: clientId, authentication: 'none' },
  })
  const home = await makeWorkspace(lido, { name: 'Strandbad' }, [
    { name: 'Members', settings: { sign_in_methods: ['password'] } },
    { name: 'Company ID', kind: 'federated', upstream },
  ])
  await register(lido, company, home, clientId)
  return { company, home }
}

const register = async ({ services, url }: TestLido, company: World, home: World, id: string): Promise<void> => {
  const { db, clock } = services
  const connections = (await findBySlug(db, home.slug))?.connections ?? []
  const connection = connections.find(({ pool }) => pool.kind === 'federated')
  await clients.create(db, clock.now(), company.id, {
    id,
    client_name: 'Strandbad',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code'],
    redirect_uris: [`${url}/callback/${connection?.id}`],
    first_party: true,
  })
}

test('someone signs in with their company’s account', async ({ page, lido, application }) => {
  const { company, home } = await makeCompany(lido)
  const email = await makePerson(lido, company.pools[0])
  const app = await application({ workspace: home, name: 'Harbour log' })
  await page.goto(app.signIn())
  await expect(page.getByRole('button', { name: 'Continue with Company ID' })).toBeVisible()
  const { violations } = await new AxeBuilder({ page }).setLegacyMode().analyze()
  expect(violations.map(({ id }) => id)).toEqual([])
  await page.getByRole('button', { name: 'Continue with Company ID' }).click()
  await expect(page).toHaveURL(new RegExp(`/w/${company.slug}/signin/`))
  await signIn(page, email)
  await expect(page.locator('body')).toContainText(email)
})

test('someone connects their company’s account and comes in by it', async ({ page, lido, application, another }) => {
  const { company, home } = await makeCompany(lido)
  const [mine, work] = [
    await makePerson(lido, home.pools[0], freshEmail('mine')),
    await makePerson(lido, company.pools[0]),
  ]
  await page.goto(`${lido.url}/w/${home.slug}/account`)
  await page.getByRole('button', { name: 'Members' }).click()
  await signIn(page, mine)
  await page.getByRole('link', { name: 'Connected accounts' }).click()
  await page.getByRole('link', { name: 'Connect', exact: true }).click()
  await page.getByRole('button', { name: 'Connect', exact: true }).click()
  await expect(page).toHaveURL(new RegExp(`/w/${company.slug}/signin/`))
  await signIn(page, work)
  await expect(page.getByRole('status')).toHaveText('It was added.')
  await expect(page.getByText(work)).toBeVisible()
  const { violations } = await new AxeBuilder({ page }).setLegacyMode().analyze()
  expect(violations.map(({ id }) => id)).toEqual([])
  const app = await application({ workspace: home, name: 'Harbour log' })
  const elsewhere = await (await another()).newPage()
  await elsewhere.goto(app.signIn({ idp_hint: 'Company ID' }))
  await signIn(elsewhere, work)
  await expect(elsewhere.locator('body')).toContainText(mine)
})
