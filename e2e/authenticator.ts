import type { Page } from '@playwright/test'
import type { Authenticator as Passkey } from '../src/signin/authenticator-testing.ts'

/** Chromium's authenticator in software, plugged into a page's browser. */
export interface Authenticator {
  /** Whether its user touches it as soon as they are asked to; without that, questions stay open. */
  attend(present: boolean): Promise<void>
  /** How many passkeys it holds. */
  held(): Promise<number>
  /** Puts a passkey in that was made elsewhere. */
  put(passkey: Pick<Passkey, 'id' | 'handle' | 'key'>): Promise<void>
}

export const plugIn = async (page: Page, { verifies = true } = {}): Promise<Authenticator> => {
  const devtools = await page.context().newCDPSession(page)
  await devtools.send('WebAuthn.enable')
  const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      ctap2Version: 'ctap2_1',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: verifies,
      automaticPresenceSimulation: true,
      defaultBackupEligibility: true,
      defaultBackupState: true,
    },
  })
  return {
    attend: async (enabled) => {
      await devtools.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId, enabled })
    },
    held: async () => (await devtools.send('WebAuthn.getCredentials', { authenticatorId })).credentials.length,
    put: async ({ id, handle, key }) => {
      const credential = {
        credentialId: Buffer.from(id, 'base64url').toString('base64'),
        userHandle: Buffer.from(handle, 'base64url').toString('base64'),
        privateKey: key.toString('base64'),
        rpId: 'localhost',
        isResidentCredential: true,
        signCount: 0,
        backupEligibility: true,
        backupState: true,
      }
      await devtools.send('WebAuthn.addCredential', { authenticatorId, credential })
    },
  }
}
