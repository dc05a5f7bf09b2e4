import { createHmac } from 'node:crypto'
import type { Workspace } from '../directory/workspaces.ts'

/**
 * A person's `sub` for the clients of one sector: the same for good, and no two sectors can tell that it is the same
 * person (OpenID Connect Core 1.0 section 8.1).
 */
export const pairwise = (
  { pairwiseSalt }: Pick<Workspace, 'pairwiseSalt'>,
  client: object,
  accountId: string,
): string => {
  const { sectorIdentifier = '' } = client as { sectorIdentifier?: string | undefined }
  return createHmac('sha256', pairwiseSalt).update(`${sectorIdentifier}|${accountId}`).digest('base64url')
}
