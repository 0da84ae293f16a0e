import hashlib
import json

from simulator import crypto

DEMO_KEY = "tiihtNczf5v6AKRyjwEUhQ=="
DEMO_IV = "r7BXXKkLb8qrSNn05n0qiA=="
DEMO_DATA = (
    "CiyLU1Aw2KjvrjMdj8YKliAjtP4gsMZMQmRzooG2xrDcvSnxIMXFufNstNGTyaGS9uT5geRa0W4oTOb1WT7fJlAC+oNPdbB+3h"
    "VbJSRgv+4lGOETKUQz6OYStslQ142dNCuabNPGBzlooOmB231qMM85d2/fV6ChevvXvQP8Hkue1poOFtnEtpyxVLW1zAo6/1Xx"
    "1COxFvrc2d7UL/lmHInNlxuacJXwu0fjpXfz/YqYzBIBzD6WUfTIF9GRHpOn/Hz7saL8xz+W//FRAUid1OksQaQx4CMs8LOddc"
    "QhULW4ucetDf96JcR3g0gfRK4PC7E/r7Z6xNrXd2UIeorGj5Ef7b1pJAYB6Y5anaHqZ9J6nKEBvB4DnNLIVWSgARns/8wR2SiR"
    "S7MNACwTyrGvt9ts8p12PKFdlqYTopNHR1Vf7XjfhQlVsAJdNiKdYmYVoKlaRv85IfVunYzO0IKXsyl7JCUjCpoG20f0a04COw"
    "fneQAGGwd5oa+T8yO5hzuyDb/XcxxmK01EpqOyuxINew=="
)
SIGNED_RAW = (
    '{"nickName":"Band","gender":1,"language":"zh_CN","city":"Guangzhou","province":"Guangdong",'
    '"country":"CN","avatarUrl":"http://wx.qlogo.cn/mmopen/vi_32/1vZvI39NWFQ9XM4LtQpFrQJ1xlgZxx3w7bQxKARol'
    '6503Iuswjjn6nIGBiaycAjAtpujxyzYsrztuuICqIM5ibXQ/0"}'
)


def test_the_public_decryption_vector_opens() -> None:
    text = crypto.decrypt(DEMO_KEY, DEMO_IV, DEMO_DATA)
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert digest == "3237d8a5dbd413523c194882c7156544d8a06e2afcc97383cc300c17bd09391b"
    assert json.loads(text)["watermark"]["appid"] == "wx4f4bc4dec97d474b"


def test_the_public_vector_seals_to_the_same_bytes() -> None:
    text = crypto.decrypt(DEMO_KEY, DEMO_IV, DEMO_DATA)
    assert crypto.encrypt(DEMO_KEY, DEMO_IV, text) == DEMO_DATA


def test_the_public_signature_vector_matches() -> None:
    signature = crypto.sign_raw_data(SIGNED_RAW, "HyVFkGl5F5OQWJZZaNzBBg==")
    assert signature == "75e81ceda165f4ffa64f4068af58c64b8f54b88c"


def test_the_session_signature_is_keyed_with_the_key_as_text() -> None:
    key = "o0q0otL8aEzpcZL/FT9WsQ=="
    body = "654571f79995b2ce1e149e53c0a33dc39c0a74090db514261454e8dbe432aa0b"
    empty = "46e043c5525c2d817c44be603d30837a808a1d930d038f6fdc3e62a201fed128"
    assert crypto.sign_session(key, '{"foo":"bar"}') == body
    assert crypto.sign_session(key) == empty


def test_phone_data_seals_to_the_known_bytes() -> None:
    text = (
        '{"phoneNumber":"13000000000","purePhoneNumber":"13000000000","countryCode":"86",'
        '"watermark":{"timestamp":1700000000,"appid":"wx0000000000000001"}}'
    )
    sealed = crypto.encrypt("MDEyMzQ1Njc4OWFiY2RlZg==", "ZmVkY2JhOTg3NjU0MzIxMA==", text)
    assert sealed == (
        "/zKksLWsmvxbw65eoGVnlP6KRVPgJ98WOmmeX7YpXavEccZj+ZlZB2R0xX9gKJnragfnaCbq16rg2YBPaBb1wI+JrkHxFzdZ"
        "jg5U9tB7bBeu0pwN3HYldKYKCyUKaB10EtgfJ/uIBehc9qX68gr6XKTjiIh3Wg0q/9dA7P7zWTPVtrt2qpRaHXo/IY3DwqtA"
        "9chVzRPKfSrA7kWaD/g4lw=="
    )
