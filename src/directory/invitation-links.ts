import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import { randomDigits, randomToken } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import { issuerOf } from './address.ts'
import type { Invitation } from './invitations.ts'
import { post } from './outbox.ts'
import type { Workspace } from './workspaces.ts'

/** An invitation as it leaves us: what is kept does not tell its link. */
export interface Sent extends Invitation {
  link: string
}

/** Where invitations are sent from; a silent one is not mailed, since whoever invites hands the link over. */
export interface Sender {
  services: Pick<Services, 'config' | 'keyring'>
  workspace: Workspace
  silent?: boolean
}

/** The pool that a link's token carries: a link knows nothing else. */
export const poolOfToken = (token: string): string | undefined => {
  const [, ...groups] =
    token.match(/^([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})[\w-]{43}$/) ?? []
  return groups.length === 5 ? z.uuid().safeParse(groups.join('-')).data : undefined
}

/** A code and a link's token for an invitation; what is kept of them tells neither. */
export const makeSecrets = ({ keyring }: Pick<Services, 'keyring'>, poolId: string, id: string) => {
  // Eight digits and five tries: the code lives for days, not for minutes.
  const code = randomDigits(8)
  const token = `${poolId.replaceAll('-', '')}${randomToken()}`
  return { code, token, codeHash: keyring.hmac('code', `${id}:${code}`) }
}

/** Sends an invitation with what leads into it; needs a transaction. */
export const send = async (
  db: Db,
  { services, workspace, silent = false }: Sender,
  invitation: Invitation,
  { code, token }: { code: string; token: string },
): Promise<Sent> => {
  const { identifier, offer, invitedBy } = invitation
  const page = `${issuerOf(services.config, workspace)}/invitation`
  const link = `${page}/${token}`
  const values = {
    code,
    link,
    page,
    hours: offer.hours,
    inviter: invitedBy.name ?? '',
    message: offer.message ?? '',
  }
  const note = { to: identifier.value, channel: 'email', template: 'invitation', values } as const
  if (!silent) await post(db, { services, workspace, lang: offer.lang }, note)
  return { ...invitation, link }
}
