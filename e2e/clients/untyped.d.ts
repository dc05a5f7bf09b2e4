declare module 'express-session' {
  import type { RequestHandler } from 'express'

  const session: (options: { secret: string; resave: boolean; saveUninitialized: boolean }) => RequestHandler
  export default session
  export class MemoryStore {}
}

declare module 'passport' {
  import type { RequestHandler } from 'express'

  type Written = (error: null, value: unknown) => void
  interface Passport {
    use(strategy: object): void
    session(): RequestHandler
    authenticate(strategy: string, options?: { successRedirect?: string; failWithError?: boolean }): RequestHandler
    serializeUser(write: (user: unknown, done: Written) => void): void
    deserializeUser(read: (user: unknown, done: Written) => void): void
  }
  const passport: Passport
  export default passport
}

declare module 'passport-openidconnect' {
  export interface Profile {
    id: string
    emails?: { value: string }[]
  }
  type Verify = (issuer: string, profile: Profile, done: (error: null, user: unknown) => void) => void
  export class Strategy {
    constructor(options: Record<string, string | boolean>, verify: Verify)
  }
}
