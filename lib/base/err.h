/* SPDX-License-Identifier: MIT */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/lang.h"

/*
 * Every way a request can fail, and all that a client ever sees of it:
 * the HTTP status, the stable code, and the text in each language.  A new
 * error is one new row.  Codes never change.
 *
 * ERR_INTERNAL is for our own mistakes, ERR_SERVICE_UNAVAILABLE for a machine
 * that cannot just now (disk full, database locked): nothing was charged and
 * the same request may be sent again.
 */
#define ERR_LIST(X) \
	X(OK, 200, "ok", "OK", "Tamam", "Correcto") \
	X(ERR_INVALID_JSON, 400, "invalid_json", \
	    "The request is not valid JSON", "İstek geçerli bir JSON değil", \
	    "La solicitud no es JSON válido") \
	X(ERR_INVALID_REQUEST, 400, "invalid_request", \
	    "The request is not valid", "İstek geçerli değil", \
	    "La solicitud no es válida") \
	X(ERR_INVALID_PROMPT, 400, "invalid_prompt", \
	    "The prompt must have 1 to 5000 characters", \
	    "İstem 1 ile 5000 karakter arasında olmalı", \
	    "La descripción debe tener entre 1 y 5000 caracteres") \
	X(ERR_INVALID_SETTINGS, 400, "invalid_settings", \
	    "A setting is not offered by this model", \
	    "Bu model bir ayarı desteklemiyor", \
	    "Este modelo no ofrece uno de los ajustes") \
	X(ERR_INVALID_IMAGE_URL, 400, "invalid_image_url", \
	    "The picture is not one of your uploads", \
	    "Görsel, yüklediklerinizden biri değil", \
	    "La imagen no es una de las que subiste") \
	X(ERR_IDEMPOTENCY_KEY_REQUIRED, 400, "idempotency_key_required", \
	    "The Idempotency-Key header is required", \
	    "Idempotency-Key başlığı gerekli", \
	    "Falta la cabecera Idempotency-Key") \
	X(ERR_IDEMPOTENCY_KEY_INVALID, 400, "idempotency_key_invalid", \
	    "The Idempotency-Key must be 1 to 255 visible ASCII characters", \
	    "Idempotency-Key 1-255 görünür ASCII karakter olmalı", \
	    "Idempotency-Key debe tener de 1 a 255 caracteres ASCII visibles") \
	X(ERR_INVALID_DEVICE_TOKEN, 400, "invalid_device_token", \
	    "The device token is not valid", "Cihaz belirteci geçerli değil", \
	    "El token del dispositivo no es válido") \
	X(ERR_INVALID_TRANSACTION, 400, "invalid_transaction", \
	    "The purchase could not be verified", "Satın alma doğrulanamadı", \
	    "No se pudo verificar la compra") \
	X(ERR_UNKNOWN_PRODUCT, 400, "unknown_product", \
	    "This product is not known", "Bu ürün bilinmiyor", \
	    "Este producto no existe") \
	X(ERR_UNAUTHORIZED, 401, "unauthorized", "Please sign in", \
	    "Lütfen oturum açın", "Inicia sesión") \
	X(ERR_TOKEN_EXPIRED, 401, "token_expired", "The session has expired", \
	    "Oturumun süresi doldu", "La sesión ha caducado") \
	X(ERR_INVALID_API_KEY, 401, "invalid_api_key", "Invalid API key", \
	    "API anahtarı geçersiz", "Clave de API no válida") \
	X(ERR_INSUFFICIENT_CREDITS, 402, "insufficient_credits", \
	    "Insufficient credits", "Yetersiz kredi", \
	    "Créditos insuficientes") \
	X(ERR_FORBIDDEN, 403, "forbidden", "This is not allowed", \
	    "Buna izin verilmiyor", "No está permitido") \
	X(ERR_DEVICE_REJECTED, 403, "device_rejected", \
	    "This device could not be verified", "Bu cihaz doğrulanamadı", \
	    "No se pudo verificar este dispositivo") \
	X(ERR_USER_BANNED, 403, "user_banned", \
	    "This account has been suspended", "Bu hesap askıya alındı", \
	    "Esta cuenta está suspendida") \
	X(ERR_CONSENT_REQUIRED, 403, "consent_required", \
	    "Your consent is required", "Onayınız gerekiyor", \
	    "Se necesita tu consentimiento") \
	X(ERR_USER_NOT_FOUND, 404, "user_not_found", "User not found", \
	    "Kullanıcı bulunamadı", "Usuario no encontrado") \
	X(ERR_JOB_NOT_FOUND, 404, "job_not_found", "Video not found", \
	    "Video bulunamadı", "Vídeo no encontrado") \
	X(ERR_THEME_NOT_FOUND, 404, "theme_not_found", "Theme not found", \
	    "Tema bulunamadı", "Tema no encontrado") \
	X(ERR_MODEL_NOT_FOUND, 404, "model_not_found", "Model not found", \
	    "Model bulunamadı", "Modelo no encontrado") \
	X(ERR_NOT_FOUND, 404, "not_found", "Not found", "Bulunamadı", \
	    "No encontrado") \
	X(ERR_METHOD_NOT_ALLOWED, 405, "method_not_allowed", \
	    "This method is not allowed here", "Bu yönteme izin verilmiyor", \
	    "Este método no está permitido") \
	X(ERR_CONFLICT, 409, "conflict", \
	    "This conflicts with something that happened meanwhile", \
	    "Bu, arada olan bir değişiklikle çakışıyor", \
	    "Esto entra en conflicto con otro cambio") \
	X(ERR_PURCHASE_BELONGS_TO_OTHER_ACCOUNT, 409, \
	    "purchase_belongs_to_other_account", \
	    "This purchase belongs to another account", \
	    "Bu satın alma başka bir hesaba ait", \
	    "Esta compra pertenece a otra cuenta") \
	X(ERR_JOB_NOT_CANCELABLE, 409, "job_not_cancelable", \
	    "This video can no longer be cancelled", \
	    "Bu video artık iptal edilemez", \
	    "Este vídeo ya no se puede cancelar") \
	X(ERR_PAYLOAD_TOO_LARGE, 413, "payload_too_large", \
	    "The request is too large", "İstek çok büyük", \
	    "La solicitud es demasiado grande") \
	X(ERR_UNSUPPORTED_MEDIA_TYPE, 415, "unsupported_media_type", \
	    "This content type is not supported", \
	    "Bu içerik türü desteklenmiyor", \
	    "Este tipo de contenido no se admite") \
	X(ERR_IDEMPOTENCY_KEY_REUSED, 422, "idempotency_key_reused", \
	    "This Idempotency-Key was used for another request", \
	    "Bu Idempotency-Key başka bir istekte kullanıldı", \
	    "Esta Idempotency-Key ya se usó en otra solicitud") \
	X(ERR_RATE_LIMITED, 429, "rate_limited", \
	    "Too many requests, please wait", \
	    "Çok fazla istek, lütfen bekleyin", \
	    "Demasiadas solicitudes, espera un momento") \
	X(ERR_TOO_MANY_JOBS, 429, "too_many_jobs", \
	    "Please wait for your running videos to finish", \
	    "Lütfen süren videolarınızın bitmesini bekleyin", \
	    "Espera a que terminen tus vídeos en curso") \
	X(ERR_INTERNAL, 500, "internal", "Something went wrong on our side", \
	    "Bizim tarafımızda bir sorun oluştu", \
	    "Algo salió mal por nuestra parte") \
	X(ERR_PROVIDER_UNAVAILABLE, 502, "provider_unavailable", \
	    "The video service cannot be reached, nothing was charged", \
	    "Video servisine ulaşılamıyor, ücret alınmadı", \
	    "El servicio de vídeo no responde, no se cobró nada") \
	X(ERR_SERVICE_UNAVAILABLE, 503, "service_unavailable", \
	    "Please try again in a moment", "Lütfen birazdan tekrar deneyin", \
	    "Inténtalo de nuevo en un momento")

#define ERR_ENUM_ROW(symbol, status, code, en, tr, es) symbol,
enum err { ERR_LIST(ERR_ENUM_ROW) ERR_MAX };
#undef ERR_ENUM_ROW

/* The HTTP status, for example 402. */
int err_status(enum err err);

/* The stable word for programs, for example "insufficient_credits". */
const char *err_code(enum err err);

/* The sentence for people. */
const char *err_text(enum err err, enum lang lang);

#endif
