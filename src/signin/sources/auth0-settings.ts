import { z } from 'zod'

const id = z.string().trim().min(1).max(255)
const secret = z.string().min(1).max(1024)

/** Where an Auth0 tenant is, and as whom it is asked. */
export const auth0Settings = z
  .strictObject({
    domain: z
      .string()
      .trim()
      .refine(
        (domain) => readBase(domain) !== undefined,
        'Must be a host such as acme.eu.auth0.com, or its https address',
      )
      .describe('The tenant’s own domain, such as acme.eu.auth0.com: its Management API knows no custom domain'),
    client_id: id.describe('An application with the Password grant and Client Secret (Post)'),
    client_secret: secret,
    realm: id.optional().describe('The database connection; the tenant’s default directory if absent'),
    audience: id.optional().describe('The API that the token is asked for; only needed where an Action looks at it'),
    tenant_id_field: z
      .string()
      .trim()
      .min(1)
      .max(200)
      .optional()
      .describe('The field of app_metadata that names the tenant; without the Management API, a claim of the ID token'),
    management_client_id: id.optional().describe('An application that may call the Management API'),
    management_client_secret: secret.optional().describe('It needs the scopes read:users and read:roles'),
  })
  .refine(
    ({ management_client_id, management_client_secret }) => !management_client_id === !management_client_secret,
    'management_client_id and management_client_secret come together',
  )
export type Auth0Settings = z.infer<typeof auth0Settings>

/** The address of a tenant, without a slash at the end; undefined where it is none. */
export const readBase = (domain: string): string | undefined => {
  const url = URL.parse(/^https?:\/\//i.test(domain) ? domain : `https://${domain}`)
  if (!url?.hostname || url.username || url.password || url.search || url.hash) return undefined
  return url.pathname === '/' ? url.origin : undefined
}
