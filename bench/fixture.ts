/** What both servers know alike, so that one driver can ask the same of both. */
export const fixture = {
  publicUrl: 'https://lido.example',
  workspace: 'bench',
  /** The workspace, and its pool, whose people sign in by a code. */
  codes: 'codes',
  /** The same, by a passkey. */
  keys: 'keys',
  password: 'correct horse battery staple',
  /** A confidential client of the workspace's own: code with PKCE, refresh with rotation. */
  client: { id: 'app', secret: 'a-secret-of-the-application-that-nobody-guesses' },
  /** A machine that gets JWT access tokens for a resource. */
  machine: { id: 'machine', secret: 'a-secret-of-the-machine-that-nobody-guesses' },
  /** A service that exchanges the tokens of people. */
  gate: { id: 'gate', secret: 'a-secret-of-the-gate-that-nobody-guesses-too' },
  /** A device without a keyboard. */
  television: { id: 'television' },
  /** A machine that may do everything in the admin API. */
  operator: { id: 'operator', secret: 'Vq7-a-key-of-the-operator-that-nobody-guesses' },
  redirectUri: 'https://application.example/callback',
  scope: 'openid profile email offline_access',
  resource: { uri: 'https://resource.example/api', scope: 'read' },
  /** Resources whose tokens are signed by other algorithms. */
  signed: { ES256: 'https://resource.example/es256', EdDSA: 'https://resource.example/eddsa' },
} as const

/** The address that the n-th user goes by, counted from 0. */
export const emailOf = (n: number): string => `user${n}@bench.example`
