import { randomBytes } from 'node:crypto'
import { expect as check } from '@playwright/test'
import { deviceGrant } from '../src/directory/client-metadata.ts'
import * as clients from '../src/directory/clients.ts'
import type { TestLido } from '../src/testing.ts'
import { signIn, step } from './acts.ts'
import { expect, test } from './story.ts'
import { demoWorkspace, makePerson } from './world.ts'

interface Started {
  device_code: string
  user_code: string
  verification_uri: string
  verification_uri_complete: string
}

/** A television that nobody can type an address at. */
const openTelevision = async ({ services, url }: TestLido) => {
  const { id, slug, pools } = await demoWorkspace({ services, url } as TestLido)
  const client_id = `tv-${randomBytes(5).toString('hex')}`
  await clients.create(services.db, services.clock.now(), id, {
    id: client_id,
    client_name: 'Harbour Television',
    token_endpoint_auth_method: 'none',
    grant_types: [deviceGrant, 'refresh_token'],
    first_party: true,
  })
  const post = (path: string, fields: Record<string, string>) =>
    fetch(`${url}/w/${slug}${path}`, { method: 'POST', body: new URLSearchParams({ client_id, ...fields }) })
  return {
    pool: pools[0],
    begin: async () => (await (await post('/device_authorization', { scope: 'openid email' })).json()) as Started,
    poll: async (device_code: string) => {
      const answer = await post('/token', { grant_type: deviceGrant, device_code })
      return (await answer.json()) as { error?: string; access_token?: string }
    },
  }
}

test('a person lets a television in by phone, and the code is good for nobody else', async ({
  page,
  lido,
  another,
}) => {
  const television = await openTelevision(lido)
  const email = await makePerson(lido, television.pool)
  const { device_code, user_code, verification_uri } = await television.begin()
  check((await television.poll(device_code)).error).toBe('authorization_pending')

  await page.goto(verification_uri)
  await page.getByLabel('Code on your device').fill(user_code.toLowerCase().replaceAll('-', ' '))
  await page.getByRole('button', { name: 'Continue' }).click()
  await signIn(page, email)
  await expect(step(page)).toHaveAttribute('data-step', 'device-confirm')
  await expect(step(page)).toContainText('Harbour Television wants to sign in as you on another device.')
  await expect(step(page)).toContainText('Go on only if you started this yourself')
  await expect(step(page)).toContainText('127.0.0.1')
  await page.getByRole('button', { name: 'Connect' }).click()
  await expect(page.getByRole('heading')).toHaveText('Device connected')

  const stranger = await (await another()).newPage()
  await stranger.goto(verification_uri)
  await stranger.getByLabel('Code on your device').fill(user_code)
  await stranger.getByRole('button', { name: 'Continue' }).click()
  await expect(stranger.getByRole('alert')).toContainText('This code is wrong or no longer valid.')

  await expect.poll(async () => (await television.poll(device_code)).access_token, { intervals: [5_500] }).toBeTruthy()
})

test('the address of a QR code lets nobody in by itself', async ({ page, lido }) => {
  const television = await openTelevision(lido)
  const email = await makePerson(lido, television.pool)
  const { device_code, user_code, verification_uri_complete } = await television.begin()
  await page.goto(verification_uri_complete)
  await expect(page.getByLabel('Code on your device')).toHaveValue(user_code)
  check((await television.poll(device_code)).error).toBe('authorization_pending')
  await page.getByRole('button', { name: 'Continue' }).click()
  await signIn(page, email)
  await page.getByRole('button', { name: 'Cancel' }).click()
  await expect(page.getByRole('heading')).toHaveText('Not connected')
  await expect
    .poll(async () => (await television.poll(device_code)).error, { intervals: [5_500] })
    .toBe('access_denied')
})
