import { z } from 'zod'

/** What an operator says of a user pool of Amazon Cognito; docs/cognito.md tells where each of it is found. */
export const cognitoSettings = z.strictObject({
  region: z
    .string()
    .regex(/^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$/)
    .describe('Such as `eu-central-1`; what stands before the underscore in the user pool’s id'),
  client_id: z
    .string()
    .regex(/^[\w+]{1,128}$/)
    .describe('The app client, which needs the flow ALLOW_USER_PASSWORD_AUTH'),
  user_pool_id: z
    .string()
    .regex(/^[\w-]{1,50}_[0-9a-zA-Z]{1,55}$/)
    .describe('Such as `eu-central-1_Ab12Cd34E`'),
  client_secret: z
    .string()
    .regex(/^\S{1,200}$/)
    .optional()
    .describe('Only where the app client has one'),
  tenant_id_field: z
    .string()
    .regex(/^(custom:)?[\p{L}\p{M}\p{S}\p{N}\p{P}]{1,20}$/u)
    .optional()
    .describe('The custom attribute that names the tenant, with or without `custom:`'),
  access_key_id: z
    .string()
    .regex(/^\w{16,128}$/)
    .describe('Of an IAM user that may do ListUsers, AdminGetUser and AdminListGroupsForUser, and nothing else'),
  secret_access_key: z.string().regex(/^\S{16,200}$/),
  endpoint: z
    .url({ protocol: /^https?$/, error: 'Not an address of http or https' })
    .max(500)
    .refine((text) => !/[?#@]/.test(text), 'Only an address without a query and without a password')
    .optional()
    .describe('Instead of the one that AWS has in the region; http only where EGRESS_ALLOW names the address'),
})
export type CognitoSettings = z.infer<typeof cognitoSettings>

/** Those that are kept sealed. */
export const cognitoSecrets = ['client_secret', 'secret_access_key'] as const satisfies (keyof CognitoSettings)[]
