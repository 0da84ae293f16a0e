"""The signed-in user."""

from app.accounts.commands import Bind, GiveConsent, SetPassword, Unbind
from app.commands import BindPhone, Command, Decrypt, UpdateInfo
from app.replies import Avatar, Consent, Devices, Export, Nothing, OpenedData, OpenSessions, OwnUser, Phone, User
from core.errors import Code
from handlers.openapi.operation import OF_WECHAT, Access, Operation, Reply, data, query

OF_OPEN_DATA = (Code.DECRYPT_FAILED, Code.UNKNOWN_APP)
PICTURES = ("image/png", "image/jpeg", "image/webp")
CHANGE = Operation(
    summary="Change the profile",
    says="One or more of the fields; the others stay as they are. A nickname may be checked by WeChat "
    "(`KAIMEN_CONTENT_CHECK`); 4000 with `data.reason` `risky_content` where it is refused.",
    access=Access.USER,
    body=UpdateInfo,
    example={"nickname": "老鲍", "email": "bob@example.com"},
    replies=(data(User, "The user as it is now."),),
    raises=(*OF_WECHAT, Code.IDENTITY_CONFLICT, Code.REAUTH_REQUIRED, Code.INVALID_WX_CODE),
)

OPERATIONS = {
    "GET /api/user/info": Operation(
        summary="The user's own profile",
        access=Access.USER,
        parameters=(query("userId", "the user's own id; somebody else's is 4030"),),
        replies=(data(OwnUser, "The user, with what is bound."),),
        raises=(Code.FORBIDDEN,),
    ),
    "PATCH /api/user/info": CHANGE,
    "PUT /api/user/info": CHANGE,
    "POST /api/user/avatar": Operation(
        summary="Upload an avatar",
        says="The picture itself, 512 KiB at most; its content says what it is. The one before is removed.",
        access=Access.USER,
        media=PICTURES,
        raw={},
        replies=(data(Avatar, "Where it is."),),
        raises=(Code.UNSUPPORTED_MEDIA_TYPE, Code.RATE_LIMITED, Code.STORAGE_UNAVAILABLE),
    ),
    "GET /avatar/{name}": Operation(
        summary="An uploaded avatar",
        replies=(Reply("The picture; it never changes.", media=PICTURES),),
        raises=(Code.STORAGE_UNAVAILABLE,),
    ),
    "POST /api/user/phone": Operation(
        summary="Bind the phone that WeChat vouches for",
        says="By `code` of the `getPhoneNumber` button, or by `encryptedData` and `iv` of older clients.",
        access=Access.USER,
        body=BindPhone,
        example={"code": "e31968a7f94cc5ee25fafc2aef2773f0bb8c3937b22520eb8ee345274d00c144"},
        replies=(data(Phone, "The phone, masked."),),
        raises=(*OF_WECHAT, *OF_OPEN_DATA, Code.INVALID_WX_CODE, Code.WX_CODE_USED),
    ),
    "POST /api/user/decrypt": Operation(
        summary="Decrypt WeChat's open data",
        says="The key is that of the session's WeChat identity, or of the user's identity in `appid`. 4003 says in "
        "`data.reason` why it failed: `malformed`, `stale_session_key`, `wrong_app` or `bad_signature`.",
        access=Access.USER,
        body=Decrypt,
        example={"encryptedData": "CiyLU1Aw2KjvrjMdj8YKliAjtP4gsMZM", "iv": "r7BXXKkLb8qrSNn05n0qiA=="},
        replies=(data(OpenedData, "What it says."),),
        raises=OF_OPEN_DATA,
    ),
    "DELETE /api/user": Operation(
        summary="Delete the account for good",
        says="Needs a login of the last 5 minutes. All sessions end.",
        access=Access.USER,
        body=Command,
        example={},
        replies=(data(Nothing, "The account is gone."),),
        raises=(Code.REAUTH_REQUIRED,),
    ),
    "POST /api/user/bind": Operation(
        summary="Bind a WeChat user",
        says="Needs a login of the last 5 minutes. Who is behind the code can log in to this account from then on.",
        access=Access.USER,
        body=Bind,
        example={"code": "33dc6878ec2c81cc3d77e3892925b27a"},
        replies=(data(OwnUser, "The user, with what is bound."),),
        raises=(
            *OF_WECHAT,
            Code.INVALID_WX_CODE,
            Code.WX_CODE_USED,
            Code.WX_USER_BLOCKED,
            Code.REAUTH_REQUIRED,
            Code.IDENTITY_CONFLICT,
        ),
    ),
    "DELETE /api/user/bind": Operation(
        summary="Take a binding away",
        says="Needs a login of the last 5 minutes. Other sessions opened through it end.",
        access=Access.USER,
        body=Unbind,
        example={"appid": "wx0000000000000001"},
        replies=(data(OwnUser, "The user, with what is bound."),),
        raises=(Code.REAUTH_REQUIRED, Code.NOT_FOUND, Code.LAST_CREDENTIAL),
    ),
    "POST /api/user/password": Operation(
        summary="Set or change the password",
        says="Without `oldPassword` only within 5 minutes of a login with WeChat; with `username` for a user who has "
        "none. The user's other sessions end.",
        access=Access.USER,
        body=SetPassword,
        example={"oldPassword": "Open-Sesame-1", "newPassword": "Open-Sesame-2"},
        replies=(data(User, "The user."),),
        raises=(
            Code.WEAK_PASSWORD,
            Code.INVALID_USERNAME,
            Code.WRONG_CREDENTIALS,
            Code.REAUTH_REQUIRED,
            Code.USERNAME_TAKEN,
            Code.TOO_MANY_ATTEMPTS,
            Code.OVERLOADED,
        ),
    ),
    "POST /api/user/consent": Operation(
        summary="Consent to a policy, or refuse",
        says="Kept with its time; nothing is overwritten.",
        access=Access.USER,
        body=GiveConsent,
        example={"policy": "privacy", "version": "2026-11", "accepted": True},
        replies=(data(Consent, "The word with the time it was first given."),),
    ),
    "GET /api/user/export": Operation(
        summary="Everything stored about the user",
        says="With openid, unionid and the phone in full; no key, no password hash, no token.",
        access=Access.USER,
        replies=(data(Export, "All of it."),),
    ),
    "GET /api/user/devices": Operation(
        summary="Devices that partners bound to the user",
        access=Access.USER,
        replies=(data(Devices, "The newest first."),),
    ),
    "GET /api/sessions": Operation(
        summary="The user's open sessions",
        access=Access.USER,
        replies=(data(OpenSessions, "The one used last first."),),
    ),
    "DELETE /api/sessions/{id}": Operation(
        summary="End one of the user's sessions",
        access=Access.USER,
        replies=(data(Nothing, "It has ended."),),
        raises=(Code.NOT_FOUND,),
    ),
    "GET /api/session/ws": Operation(
        summary="WebSocket: what happens to the session",
        says='A page comes with its cookie; who has none sends `{"type": "AUTH", "token": "…"}` within 5 seconds. '
        "Then come `READY`, `USER_UPDATED`, `LOGGED_OUT`. A query in the URL is 4000: a token there would be logged.",
        replies=(Reply("The WebSocket is open.", status=101),),
        raises=(
            Code.UNAUTHENTICATED,
            Code.SESSION_REVOKED,
            Code.ACCOUNT_DISABLED,
            Code.BAD_ORIGIN,
            Code.RATE_LIMITED,
            Code.DATABASE_UNAVAILABLE,
        ),
    ),
}
