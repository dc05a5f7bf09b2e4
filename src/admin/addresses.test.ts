import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { makePool, makeWorkspace } from '../pages/fixtures-testing.ts'
import { type AdminLido, type ApiAnswer, adminLido } from './fixtures-testing.ts'

let lido: AdminLido
before(async () => {
  lido = await adminLido()
  const site = { type: 'string', format: 'uri', title: 'Site' }
  const user_schema = { type: 'object', properties: { site } }
  const pool = await makePool(lido, 'linked', { user_schema, metadata_schema: user_schema })
  await makeWorkspace(lido, 'linked', [{ pool }])
})
after(() => lido.stop())

const harmful = [
  'javascript:alert(1)',
  'JAVASCRIPT://example.org/%0aalert(1)',
  ' javascript:alert(1)',
  'java\tscript:alert(1)',
  'java\nscript:alert(1)',
  '\u0001javascript:alert(1)',
  'data:text/html,<script>alert(1)</script>',
  'vbscript:x',
  'blob:https://example.org/x',
]

const client = { client_name: 'C', redirect_uris: ['https://client.example/callback'] }
const identifiers = [{ type: 'email', value: 'a@example.org' }]
const user = { mode: 'set_credentials', identifiers, password: 'correct horse battery staple' }

// Everything that is kept as an address and shown as a link or a picture.
const places: [name: string, send: (address: string) => Promise<ApiAnswer>][] = [
  ['a logo', (logo) => lido.call('PATCH', '/workspaces/linked', { branding: { logo } })],
  ['a link', (href) => lido.call('PATCH', '/workspaces/linked', { branding: { links: [{ label: 'Help', href }] } })],
  ...['logo_uri', 'client_uri', 'policy_uri', 'tos_uri', 'redirect_uris', 'post_logout_redirect_uris'].map(
    (name): (typeof places)[number] => [
      name,
      (address) => {
        const value = name.endsWith('uris') ? [address] : address
        return lido.call('POST', '/workspaces/linked/clients', { ...client, [name]: value })
      },
    ],
  ),
  ['a profile', (site) => lido.call('POST', '/pools/linked/users', { ...user, profile: { site } })],
  ['metadata', (site) => lido.call('POST', '/pools/linked/users', { ...user, metadata: { site } })],
  [
    'an invitation',
    (site) => lido.call('POST', '/pools/linked/invitations', { identifier: 'b@example.org', profile: { site } }),
  ],
]

for (const [name, send] of places)
  test(`${name} is no address that would run something`, async () => {
    for (const address of harmful) {
      const { status, body } = await send(address)
      assert.equal(status, 422, `${JSON.stringify(address)}: ${JSON.stringify(body)}`)
    }
    const { status, body } = await send('https://harmless.example/')
    assert.ok(status < 300, JSON.stringify(body))
    if (body.id && name !== 'an invitation' && body.identifiers)
      await lido.call('DELETE', `/pools/linked/users/${body.id}`)
  })
